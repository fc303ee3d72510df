// One connection to a control socket: requests, and the notifications that come between the answers.
import { connect, type Socket } from 'node:net'
import { AcceptdError, type WireError } from './errors.ts'
import type { Cancel } from './options.ts'
import { FAILURES, type FailureName } from './table/methods.ts'

type Rec = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Rec =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isWireError = (value: unknown): value is WireError =>
  isRecord(value) && typeof value['code'] === 'number' && typeof value['message'] === 'string'

export const thrown = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)))

const NAMES: ReadonlyMap<number, FailureName> = new Map(
  Object.entries(FAILURES).map(([name, code]) => [code, name as FailureName]),
)

const answeredError = (error: WireError): AcceptdError => new AcceptdError(NAMES.get(error.code) ?? 'unknown', error)

export const ownError = (failure: 'unreachable' | 'closed' | 'unanswered', message: string): AcceptdError =>
  new AcceptdError(failure, { code: 0, message, data: { reason: failure, retryable: failure !== 'closed' } })

interface Waiting {
  readonly done: (result: unknown) => void
  readonly fail: (error: Error) => void
}

export class Connection {
  private readonly socket: Socket
  private readonly waiting = new Map<number, Waiting>()
  private lastId = 0
  private text = ''
  private isOver = false
  /** Hears the params of each notification. */
  onNotice: (params: Rec) => void = () => undefined
  /** Resolves when it has ended, from either side. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => this.read(chunk))
    socket.on('error', () => socket.destroy())
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isOver = true
        for (const { fail } of this.waiting.values()) fail(ownError('closed', 'acceptd closed the connection'))
        this.waiting.clear()
        resolve()
      })
    })
  }

  static open(path: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(path)
      const failed = (error: Error) =>
        reject(ownError('unreachable', `acceptd is not reachable: ${path}: ${error.message}`))
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        resolve(new Connection(socket))
      })
    })
  }

  /** `timeout` in seconds. */
  request(method: string, params: object, timeout: number, signal?: Cancel): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(thrown(signal.reason))
      if (this.isOver) return reject(ownError('closed', 'acceptd closed the connection'))
      const id = ++this.lastId
      const settled = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
        this.waiting.delete(id)
      }
      const fail = (error: Error) => {
        settled()
        reject(error)
      }
      const aborted = () => fail(thrown(signal?.reason))
      const timer = setTimeout(() => fail(ownError('unanswered', 'acceptd did not answer in time')), timeout * 1000)
      signal?.addEventListener('abort', aborted)
      this.waiting.set(id, {
        done: (result) => {
          settled()
          resolve(result)
        },
        fail,
      })
      this.socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
    })
  }

  /** Whether it keeps the process alive. */
  keepAlive(yes: boolean): void {
    if (yes) this.socket.ref()
    else this.socket.unref()
  }

  get isWaiting(): boolean {
    return this.waiting.size > 0
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  close(): void {
    this.socket.destroy()
  }

  private read(chunk: string): void {
    const lines = chunk.split('\n')
    lines[0] = this.text + (lines[0] ?? '')
    this.text = lines.pop() ?? ''
    for (const line of lines) this.hear(line)
  }

  private hear(line: string): void {
    const message: unknown = JSON.parse(line)
    if (!isRecord(message)) return
    if (message['method'] === 'event') {
      if (isRecord(message['params'])) this.onNotice(message['params'])
      return
    }
    const { id, error, result } = message
    // An error without id answers whatever was asked: the daemon refuses this connection.
    const asked = typeof id === 'number' ? [this.waiting.get(id)] : [...this.waiting.values()]
    for (const one of asked) {
      if (isWireError(error)) one?.fail(answeredError(error))
      else one?.done(result)
    }
  }
}
