// A client of the control socket: requests, and the notifications that come between the replies.
import { connect, type Socket } from 'node:net'
import { err, ok, type Result } from 'neverthrow'
import type { WireError } from '../contract/failure.ts'
import { isRecord } from './show.ts'

export type ClientProblem =
  | { readonly at: 'connect'; readonly message: string }
  /** The connection ended before the reply. */
  | { readonly at: 'closed' }
  | { readonly at: 'timeout' }
  | { readonly at: 'reply'; readonly error: WireError }

export interface RpcClient {
  /** The result; `timeout` in seconds. */
  call(method: string, params: object, timeout: number): Promise<Result<unknown, ClientProblem>>
  /** Called with the `params` of each event from now on. */
  onEvent(listener: (params: unknown) => void): void
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>
  close(): void
}

export function openClient(path: string): Promise<Result<RpcClient, ClientProblem>> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('error', (error) => resolve(err({ at: 'connect', message: `${path}: ${error.message}` })))
    socket.once('connect', () => resolve(ok(clientOver(socket))))
  })
}

function isWireError(value: unknown): value is WireError {
  return isRecord(value) && typeof value.code === 'number' && typeof value.message === 'string'
}

function clientOver(socket: Socket): RpcClient {
  const waiting = new Map<number, (answer: Result<unknown, ClientProblem>) => void>()
  let listener: ((params: unknown) => void) | undefined
  let early: unknown[] = []
  let last = 0
  let text = ''
  let ended = false

  const hear = (line: string): void => {
    if (line.trim() === '') return
    const message: unknown = JSON.parse(line)
    if (!isRecord(message)) return
    if (message.method === 'event') {
      if (listener) listener(message.params)
      else early.push(message.params)
      return
    }
    // An error without id answers whatever was asked: the daemon refuses this connection.
    const ids = typeof message.id === 'number' ? [message.id] : [...waiting.keys()]
    for (const id of ids) {
      waiting.get(id)?.(isWireError(message.error) ? err({ at: 'reply', error: message.error }) : ok(message.result))
      waiting.delete(id)
    }
  }
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = chunk.split('\n')
    lines[0] = text + (lines[0] ?? '')
    text = lines.pop() ?? ''
    for (const line of lines) hear(line)
  })
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      ended = true
      for (const answer of waiting.values()) answer(err({ at: 'closed' }))
      waiting.clear()
      resolve()
    })
  })

  return {
    call: (method, params, timeout) =>
      new Promise((resolve) => {
        if (ended) {
          resolve(err({ at: 'closed' }))
          return
        }
        const id = ++last
        const timer = setTimeout(() => {
          waiting.delete(id)
          resolve(err({ at: 'timeout' }))
        }, timeout * 1000)
        waiting.set(id, (answer) => {
          clearTimeout(timer)
          resolve(answer)
        })
        socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
      }),
    onEvent(next) {
      listener = next
      for (const params of early) next(params)
      early = []
    },
    closed,
    close: () => socket.destroy(),
  }
}
