// Runs JavaScript in a lane of a running acceptd through Node's inspector, to kill or spin it from outside: SIGUSR1 opens the inspector
// of the runtime, and its worker threads are reached through the NodeWorker domain.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import type { Socket } from 'node:net'
import { signal, until } from './processes.ts'

type Message = Readonly<Record<string, unknown>>

const fields = (value: unknown): Message =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}

/** RFC 6455, as much of it as one text message each way needs: ours masked and below 64 KB, theirs not. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const [key, head] = [randomBytes(4), Buffer.from([0x81, 0xfe, 0, 0])]
  head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, key, payload.map((byte, n) => byte ^ (key[n % 4] ?? 0))])
}

function* messages(bytes: Buffer): Generator<{ readonly text: string; readonly next: number }> {
  let at = 0
  while (bytes.length >= at + 2) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const head = short < 126 ? 2 : short === 126 ? 4 : 10
    if (bytes.length < at + head) return
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (bytes.length < at + head + length) return
    at += head + length
    yield { text: bytes.toString('utf8', at - length, at), next: at }
  }
}

async function open(url: string): Promise<Socket> {
  const request = get(url.replace('ws:', 'http:'), {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    },
  })
  const [, socket] = await once(request, 'upgrade')
  return socket
}

/** In the n-th of the worker threads, counted around. */
async function evaluate(runtime: number, log: () => string, expression: string, nth: number): Promise<void> {
  const address = (): string | undefined => [...log().matchAll(/Debugger listening on (ws:\S+)/g)].at(-1)?.[1]
  signal(runtime, 'SIGUSR1')
  const socket = await open(await until('the inspector', address))
  let [id, waiting] = [0, Buffer.alloc(0)]
  const tell = (method: string, params: Message): void => {
    id += 1
    socket.write(frame(JSON.stringify({ id, method, params })))
  }
  const workers: unknown[] = []
  const answered = new Set<unknown>()
  let evaluated = false
  const hear = (message: Message): void => {
    answered.add(message['id'])
    evaluated ||= message['method'] === 'NodeWorker.receivedMessageFromWorker'
    if (message['method'] !== 'NodeWorker.attachedToWorker') return
    workers.push(fields(message['params'])['sessionId'])
  }
  socket.on('error', () => undefined)
  socket.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes])
    let taken = 0
    for (const { text, next } of messages(waiting)) {
      taken = next
      hear(fields(JSON.parse(text)))
    }
    waiting = waiting.subarray(taken)
  })
  tell('NodeWorker.enable', { waitForDebuggerOnStart: false })
  // The answer comes after all workers have been named.
  await until('the workers to be attached', () => answered.has(1))
  const evaluation = { id: 1, method: 'Runtime.evaluate', params: { expression } }
  const sessionId = workers[nth % workers.length]
  tell('NodeWorker.sendMessageToWorker', { sessionId, message: JSON.stringify(evaluation) })
  await until('the evaluation', () => evaluated)
  socket.destroy()
}

/**
 * Runs `code` in one lane, whichever, a tenth of a second later: what the inspector itself runs ends with its connection. `log` is the
 * daemon's log, in which the inspector names its address; acceptd has to run with NODE_OPTIONS=--inspect-port=0.
 */
export async function inOneLane(runtime: number, log: () => string, code: string): Promise<void> {
  const mark = `inspector ${randomBytes(6).toString('hex')}`
  for (let tries = 0; tries < 5; tries += 1) {
    // The pool may have idle threads too; a lane is one that listens.
    const lane = "process.getActiveResourcesInfo().includes('TCPServerWrap')"
    const then = `{ process._rawDebug('${mark}'); ${code} }`
    // By then the connection has ended, and with it what the inspector itself runs.
    await evaluate(runtime, log, `setTimeout(() => { if (${lane}) ${then} }, 100)`, tries)
    const seen = await until('the lane to be reached', () => log().includes(mark), { timeout: 1000 }).catch(() => false)
    if (seen) return
  }
  throw new Error(`no lane could be reached through the inspector\n${log().slice(-2000)}`)
}
