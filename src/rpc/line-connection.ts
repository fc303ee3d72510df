// One connection of a control socket that speaks lines of JSON, or, if its first line is an HTTP request, is given to the HTTP server.
//
//   read ─> lines ─> dispatch ─> reply      one request at a time; meanwhile at most a line's limit is read, so that its end is seen

import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { RpcFailure } from '../contract/daemon.ts'
import type { Context } from './context.ts'
import { type Dispatch, refusal } from './dispatch.ts'
import { httpRequest, LINE_LIMIT, newLineInput, takeLast, takeRead, utf8Text } from './line-input.ts'
import type { Level } from './row.ts'
import { type ClientHandle, createClient } from './streams.ts'

/** Milliseconds between looks whether a client that only listens is still there. */
const HALF_CLOSED_PROBE = 1000
/** A client that was refused and still sends: it is cut once it has been silent for this long, and after this long in any case. */
const QUIET_MILLISECONDS = 1000
const LAST_MILLISECONDS = 30_000

const NOT_UTF8: RpcFailure = { failure: 'parse-error', reason: 'not-utf-8', message: 'The line is not UTF-8' }
const TOO_LONG: RpcFailure = {
  failure: 'invalid-request',
  reason: 'line-too-long',
  message: `A line holds at most ${LINE_LIMIT} octets`,
}

/** What the sockets take from the machine, in milliseconds: a time that only grows, and calls; each gives what ends it. */
export interface SocketClock {
  readonly now: () => number
  readonly later: (run: () => void, milliseconds: number) => () => void
  readonly again: (run: () => void, milliseconds: number) => () => void
}

export const SOCKET_CLOCK: SocketClock = {
  now: () => performance.now(),
  later: (run, milliseconds) => {
    const timer = setTimeout(run, milliseconds).unref()
    return () => clearTimeout(timer)
  },
  again: (run, milliseconds) => {
    const timer = setInterval(run, milliseconds).unref()
    return () => clearInterval(timer)
  },
}

/** What a control socket gives its connections. */
export interface ConnectionHost {
  readonly context: Context
  readonly level: Level
  readonly dispatch: Dispatch
  readonly http: HttpServer
  readonly clock: SocketClock
}

/** Serves it until either side ends. */
export function serveLines(socket: Socket, host: ConnectionHost): Pick<LineConnection, 'idleMilliseconds'> {
  const connection = new LineConnection(socket, host)
  connection.listen()
  return connection
}

class LineConnection {
  private readonly socket: Socket
  private readonly host: ConnectionHost
  private readonly client: ClientHandle
  private input = newLineInput()
  /** Whole lines that wait for their turn. */
  private lines: Buffer[] = []
  private waitingOctets = 0
  private isFirst = true
  private working = false
  private inputEnded = false
  private heard: number
  private isHttp = false

  constructor(socket: Socket, host: ConnectionHost) {
    this.socket = socket
    this.host = host
    this.heard = host.clock.now()
    this.client = createClient(
      host.level,
      'lines',
      (line) => socket.write(`${line}\n`),
      () => {
        if (this.inputEnded && !this.working) socket.end()
      },
      (events) => host.context.lostEvents(events),
    )
  }

  /** Since it asked for anything; 0 while it is answered or follows a stream. HTTP has limits of its own. */
  idleMilliseconds(): number {
    const { working, isHttp, client, heard } = this
    return working || isHttp || client.streams > 0 ? 0 : this.host.clock.now() - heard
  }

  listen(): void {
    const { socket, client } = this
    socket.on('data', this.onData)
    socket.on('end', this.onEnd)
    socket.on('drain', this.onDrain)
    socket.on('close', () => client.closed())
  }

  private readonly onData = (read: Buffer): void => {
    const request = this.isFirst ? httpRequest(this.input, read) : undefined
    if (request !== undefined) {
      this.handOver(request)
      return
    }
    const lines = takeRead(this.input, read)
    if (lines === undefined) {
      this.tooLong()
      return
    }
    if (lines.length > 0) this.isFirst = false
    this.put(lines)
    if (this.lines.length > 0 && !this.working) void this.work()
  }

  private readonly onEnd = (): void => {
    this.inputEnded = true
    this.put(takeLast(this.input))
    this.probe()
    if (this.working) return
    if (this.lines.length > 0) void this.work()
    else this.goOn()
  }

  private readonly onDrain = (): void => this.client.drained()

  private put(lines: readonly Buffer[]): void {
    this.lines.push(...lines)
    for (const line of lines) this.waitingOctets += line.length
    if (this.waitingOctets > LINE_LIMIT) this.socket.pause()
  }

  private take(): Buffer | undefined {
    const line = this.lines.shift()
    this.waitingOctets -= line?.length ?? 0
    if (this.waitingOctets <= LINE_LIMIT && !this.inputEnded) this.socket.resume()
    return line
  }

  /** Answers the lines that have come, one after the other. */
  private async work(): Promise<void> {
    const { socket, client } = this
    this.working = true
    for (let line = this.take(); line !== undefined && !socket.destroyed; line = this.take()) {
      const text = utf8Text(line)
      if (text?.trim() === '') continue
      const answer = text === undefined ? refusal(null, NOT_UTF8) : await this.host.dispatch(text, client)
      if (!socket.writable) break
      if (!client.reply(answer)) await drained(socket)
    }
    this.working = false
    this.heard = this.host.clock.now()
    if (!socket.destroyed) this.goOn()
  }

  /** Ends what has been answered, unless a stream of events goes on. */
  private goOn(): void {
    if (this.inputEnded && this.client.streams === 0) this.socket.end()
  }

  /** A client that ended its side may still read, or be gone: only writing tells, which nothing is enough for: EPIPE. */
  private probe(): void {
    const look = (): void => void this.socket.write('')
    look()
    this.socket.on('close', this.host.clock.again(look, HALF_CLOSED_PROBE))
  }

  private tooLong(): void {
    const { context, level } = this.host
    context.count(level, 'invalid-request')
    this.lines = []
    this.waitingOctets = 0
    this.input = newLineInput()
    this.client.closed()
    finish(this.socket, refusal(null, TOO_LONG))
  }

  private handOver(request: Buffer): void {
    this.isHttp = true
    const { socket } = this
    socket.off('data', this.onData)
    socket.off('end', this.onEnd)
    socket.off('drain', this.onDrain)
    socket.pause()
    socket.unshift(request)
    this.host.http.emit('connection', socket)
    socket.resume()
  }
}

/** A last line, and then nothing more is heard: what still comes is read and dropped, so that the line is not lost to a reset. */
export function finish(socket: Socket, line: string): void {
  const destroy = (): void => void socket.destroy()
  const quiet = setTimeout(destroy, QUIET_MILLISECONDS).unref()
  const last = setTimeout(destroy, LAST_MILLISECONDS).unref()
  socket.removeAllListeners('data')
  socket.on('data', () => quiet.refresh())
  socket.on('close', () => {
    clearTimeout(quiet)
    clearTimeout(last)
  })
  socket.resume()
  socket.end(`${line}\n`)
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
