// SMTP or POP3 by hand: what a test sends, byte for byte, and what comes back.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { within } from '../support/until.ts'

export interface Conversation {
  readonly socket: Socket
  /** The next SMTP reply with all its lines, or the next line of POP3. Throws if the connection ends before. */
  readonly reply: () => Promise<string>
  /** Sends a line and returns its reply. */
  readonly say: (line: string) => Promise<string>
  readonly send: (bytes: string) => void
  /** Waits for the other side to close, and returns everything not yet taken by reply(). */
  readonly rest: () => Promise<string>
  /** Resets the connection. */
  readonly cut: () => void
}

const REPLY = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n|^[+-][^\n]*\n/

/** `timeout` is for each reply; `from` is the client's address. */
export const converse = (port: number, timeout?: number, from = '127.0.0.1'): Promise<Conversation> =>
  converseOn(connect({ port, host: '127.0.0.1', localAddress: from }).setNoDelay(), 'connect', timeout)

/** On a socket that can be used after the event `opened`. */
export async function converseOn(socket: Socket, opened: string, timeout = 15_000): Promise<Conversation> {
  let [waiting, failure] = ['', '']
  socket.setEncoding('latin1').on('data', (text: string) => {
    waiting += text
  })
  socket.on('error', (error) => {
    failure = error.message
  })
  await new Promise<void>((resolve) => socket.once(opened, resolve).once('close', () => resolve()))
  const reply = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const late = AbortSignal.timeout(timeout)
      const done = (): void => {
        late.removeEventListener('abort', giveUp)
        socket.off('data', look).off('close', look)
      }
      const look = (): void => {
        const [text] = REPLY.exec(waiting) ?? []
        if (text === undefined && !socket.closed) return
        done()
        waiting = waiting.slice(text?.length ?? 0)
        if (text === undefined) reject(new Error(`closed instead of a reply: ${failure} ${JSON.stringify(waiting)}`))
        else resolve(text)
      }
      const giveUp = (): void => {
        done()
        reject(new Error(`no reply in ${timeout} ms: ${JSON.stringify(waiting)}`))
      }
      late.addEventListener('abort', giveUp)
      socket.on('data', look).on('close', look)
      look()
    })
  return {
    socket,
    reply,
    send: (bytes) => void socket.write(bytes, 'latin1'),
    say: (line) => {
      socket.write(`${line}\r\n`, 'latin1')
      return reply()
    },
    rest: async () => {
      if (!socket.closed) await within('the connection to be closed', once(socket, 'close'), timeout)
      return waiting
    },
    // Node resets no connection inside TLS.
    cut: () => void ('encrypted' in socket ? socket.destroy() : socket.resetAndDestroy()),
  }
}

/** The argument of AUTH PLAIN. */
export function plain(user: string, password: string): string {
  return Buffer.from(`\0${user}\0${password}`, 'latin1').toString('base64')
}

/** After greeting, EHLO and login. */
export async function loggedIn(
  port: number,
  user: string,
  password: string,
  timeout?: number,
  from?: string,
): Promise<Conversation> {
  const talk = await converse(port, timeout, from)
  await logIn(talk, user, password)
  return talk
}

/** From the greeting on. */
export async function logIn(talk: Conversation, user: string, password: string): Promise<void> {
  const greeting = await talk.reply()
  if (!greeting.startsWith('220')) throw new Error(`greeting: ${greeting}`)
  await talk.say('EHLO client.example')
  const answer = await talk.say(`AUTH PLAIN ${plain(user, password)}`)
  if (!answer.startsWith('235')) throw new Error(`login of ${user}: ${answer}`)
}
