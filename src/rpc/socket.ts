// The control sockets: Unix stream sockets on which a client speaks lines of JSON, or HTTP/1.1 if its first line is an HTTP request.
//
//   data ─> line by line ─> dispatch ─> reply        one request of a connection at a time; reading pauses meanwhile,
//                                └─> streams ─> events         and while the reader is behind
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, renameSync, unlinkSync } from 'node:fs'
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import { addressMatcher } from '../contract/pages.ts'
import { createDispatch, type Dispatch, refusal } from './dispatch.ts'
import type { Plane } from './plane.ts'
import { PROMETHEUS_TYPE, prometheusText } from './prometheus.ts'
import type { Level } from './row.ts'
import { createClient } from './streams.ts'

/** Octets of a line or of an HTTP body. */
export const LINE_LIMIT = 1024 * 1024
const CLIENTS = 64
/** A deleted socket is back within a second. */
const LOOK_MILLISECONDS = 300
/** Milliseconds between empty lines to a client that only listens. */
const HALF_CLOSED_PROBE = 10_000
const HTTP_REQUEST = /^[A-Z]+ \S+ HTTP\/1\.[01]\r?$/
const NEWLINE = 10

export interface SocketOptions {
  readonly path: string
  readonly level: Level
  /** Of the socket; left out, the process's. */
  readonly gid?: number
  readonly maxClients?: number
}

export interface Listening {
  /** The path, or host:port with the port that was bound. */
  readonly address: string
  close(): Promise<void>
}

/** Binds a control socket; a live one of another process is left alone (`busy`), a dead one replaced, a deleted one made again. */
export async function listenSocket(plane: Plane, options: SocketOptions): Promise<Result<Listening, RpcFailure>> {
  const { path, level } = options
  const dispatch = createDispatch(plane)
  const http = createHttp(plane, level, dispatch)
  const sockets = new Set<Socket>()
  const accept = (socket: Socket): void => {
    socket.on('error', () => socket.destroy())
    if (sockets.size >= (options.maxClients ?? CLIENTS)) {
      finish(
        socket,
        refusal(null, {
          failure: 'busy',
          reason: 'too-many-clients',
          message: `${sockets.size} clients are connected already`,
        }),
      )
      return
    }
    sockets.add(socket)
    plane.clients(level, 1)
    socket.on('close', () => {
      sockets.delete(socket)
      plane.clients(level, -1)
    })
    serve(socket, plane, level, dispatch, http)
  }
  const bind = () => bindAt(options, accept, (error) => plane.daemon.bug(path, error))
  const first = await bind()
  if (first.isErr()) return err(first.error)
  let bound = first.value

  let binding = false
  const restore = async (): Promise<void> => {
    if (binding || existsSync(path)) return
    binding = true
    const again = await bind()
    binding = false
    if (again.isErr()) return
    // Its connections go on.
    bound.server.close()
    bound = again.value
  }
  const watch = setInterval(() => void restore(), LOOK_MILLISECONDS).unref()

  return ok({
    address: path,
    async close() {
      clearInterval(watch)
      attempt(path, () => {
        if (lstatSync(path).ino === bound.inode) unlinkSync(path)
      })
      for (const socket of sockets) socket.end()
      const closed = new Promise<void>((resolve) => bound.server.close(() => resolve()))
      // Who does not read does not hold up the end.
      const late = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, 200)
      await closed
      clearTimeout(late)
      http.close()
    },
  })
}

interface BoundSocket {
  readonly server: Server
  readonly inode: number
}

/** Bound under a name of our own, given its modes, and only then put in place: nobody meets it half done. */
async function bindAt(
  { path, level, gid }: SocketOptions,
  accept: (socket: Socket) => void,
  failed: (error: Error) => void,
): Promise<Result<BoundSocket, RpcFailure>> {
  const claimed = await claim(path)
  if (claimed.isErr()) return err(claimed.error)
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, accept)
  const own = `${path}.${process.pid}`
  const bound = await listen(server, { path: own })
  if (bound.isErr()) return err(bound.error)
  const placed = attempt(path, () => {
    chmodSync(own, level === 'control' ? 0o600 : 0o660)
    if (gid !== undefined) chownSync(own, process.getuid?.() ?? 0, gid)
    replaceDead(own, path, claimed.value)
    return lstatSync(path).ino
  })
  attempt(own, () => unlinkSync(own))
  if (placed.isErr()) {
    server.close()
    return err(placed.error)
  }
  server.on('error', failed)
  return ok({ server, inode: placed.value })
}

/** Serves GET /metrics, and nothing else, on a loopback address: there is no permission to check on TCP. */
export async function listenMetrics(plane: Plane, host: string, port: number): Promise<Result<Listening, RpcFailure>> {
  if (![addressMatcher('127.0.0.0/8'), addressMatcher('::1')].some((loopback) => loopback?.(host)))
    return err({ failure: 'wrong-state', reason: 'not-loopback', message: `${host} is not a loopback address` })
  const server = createHttpServer(
    { maxHeaderSize: 8192, requestTimeout: 10_000, headersTimeout: 5000 },
    (request, response) => {
      void answerGet(plane, request, response)
    },
  )
  server.maxConnections = CLIENTS
  const bound = await listen(server, { host, port })
  if (bound.isErr()) return err(bound.error)
  server.on('error', (error) => plane.daemon.bug('metrics', error))
  const address = server.address()
  const at = typeof address === 'object' && address ? address.port : port
  return ok({
    address: host.includes(':') ? `[${host}]:${at}` : `${host}:${at}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

// -- who owns the path

/** The inode of a dead socket at this path, undefined if there is nothing; refuses what is alive or no socket. */
async function claim(path: string): Promise<Result<number | undefined, RpcFailure>> {
  const directory = dirname(path)
  const made = attempt(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { mode } = lstatSync(directory)
    if ((mode & 0o022) !== 0)
      throw new Error(`${directory} is writable by others, who could put their own socket there`)
  })
  if (made.isErr()) return err(made.error)
  const there = attempt(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (there.isErr()) return err(there.error)
  if (there.value === undefined) return ok(undefined)
  if (!there.value.isSocket())
    return err({ failure: 'io', reason: 'not-a-socket', message: `${path} exists and is not a socket` })
  if (await isAlive(path)) return err(inUse(path))
  return ok(there.value.ino)
}

function inUse(path: string): RpcFailure {
  return { failure: 'busy', reason: 'socket-in-use', message: `${path} is answered by another process` }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (alive: boolean) => {
      socket.destroy()
      resolve(alive)
    }
    socket.on('connect', () => done(true))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

/** Puts `own` at `path`. Two who found the same dead socket do not both win: what is moved away must be the dead one. */
function replaceDead(own: string, path: string, dead: number | undefined): void {
  if (dead !== undefined) {
    const aside = `${own}.old`
    renameSync(path, aside)
    if (lstatSync(aside).ino !== dead) {
      renameSync(aside, path)
      throw new Error(`${path} was taken by another process`)
    }
    unlinkSync(aside)
  }
  linkSync(own, path)
}

function attempt<T>(path: string, action: () => T): Result<T, RpcFailure> {
  try {
    return ok(action())
  } catch (error) {
    return err(ioFailure(path, error))
  }
}

function ioFailure(path: string, error: unknown): RpcFailure {
  const text = error instanceof Error ? error.message : String(error)
  return { failure: 'io', reason: 'io', message: `${path}: ${text}` }
}

function listen(
  server: Server | HttpServer,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<Result<undefined, RpcFailure>> {
  return new Promise((resolve) => {
    const failed = (error: Error) =>
      resolve(err(ioFailure('path' in where ? where.path : `${where.host}:${where.port}`, error)))
    server.once('error', failed)
    server.listen(where, () => {
      server.off('error', failed)
      resolve(ok(undefined))
    })
  })
}

// -- one connection

/** A last line, and then nothing more is heard: input is read and dropped, for a second at most, so that the line is not lost to a reset. */
function finish(socket: Socket, line: string): void {
  socket.removeAllListeners('data')
  socket.on('data', () => {})
  socket.resume()
  socket.end(`${line}\n`)
  setTimeout(() => socket.destroy(), 1000).unref()
}

function serve(socket: Socket, plane: Plane, level: Level, dispatch: Dispatch, http: HttpServer): void {
  const client = createClient(
    level,
    'lines',
    (line) => socket.write(`${line}\n`),
    () => {
      if (inputEnded && !working) socket.end()
    },
    (events) => plane.lostEvents(events),
  )
  let parts: Buffer[] = []
  let bytes = 0
  let first = true
  let working = false
  let inputEnded = false
  const lines: Buffer[] = []

  const work = async (): Promise<void> => {
    working = true
    socket.pause()
    for (let line = lines.shift(); line !== undefined && !socket.destroyed; line = lines.shift()) {
      const text = textOf(line)
      if (text?.trim() === '') continue
      const answer =
        text === undefined
          ? refusal(null, { failure: 'parse-error', reason: 'not-utf-8', message: 'The line is not UTF-8' })
          : await dispatch(text, client)
      if (!socket.writable) break
      if (!client.reply(answer)) await drained(socket)
    }
    working = false
    if (socket.destroyed) return
    if (!inputEnded) socket.resume()
    else if (client.streams === 0) socket.end()
    else watchHalf()
  }

  const tooLong = () => {
    plane.count(level, 'invalid-request')
    lines.length = 0
    parts = []
    client.closed()
    finish(
      socket,
      refusal(null, {
        failure: 'invalid-request',
        reason: 'line-too-long',
        message: `A line holds at most ${LINE_LIMIT} octets`,
      }),
    )
  }

  const onData = (chunk: Buffer): void => {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end)
      start = end + 1
      if (bytes + piece.length > LINE_LIMIT) {
        tooLong()
        return
      }
      const line = parts.length === 0 ? piece : Buffer.concat([...parts, piece])
      parts = []
      bytes = 0
      if (first && HTTP_REQUEST.test(line.toString('latin1'))) {
        handOver(Buffer.concat([line, chunk.subarray(end)]))
        return
      }
      first = false
      lines.push(line)
    }
    const rest = chunk.subarray(start)
    if (rest.length > 0) {
      parts.push(rest)
      bytes += rest.length
      // Many small pieces of one line are joined now and then, so that their count is bounded too.
      if (parts.length > 256) parts = [Buffer.concat(parts)]
    }
    if (bytes > LINE_LIMIT) tooLong()
    else if (lines.length > 0 && !working) void work()
  }

  const onDrain = () => client.drained()

  const onEnd = (): void => {
    inputEnded = true
    if (bytes > 0) lines.push(Buffer.concat(parts))
    parts = []
    bytes = 0
    if (working) return
    if (lines.length > 0) void work()
    else if (client.streams === 0) socket.end()
    else watchHalf()
  }

  // A client that ended its side may still read events, or be gone: only writing tells.
  const watchHalf = (): void => {
    const timer = setInterval(() => socket.write('\n'), HALF_CLOSED_PROBE)
    timer.unref()
    socket.on('close', () => clearInterval(timer))
  }

  const handOver = (seen: Buffer): void => {
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('drain', onDrain)
    socket.pause()
    socket.unshift(seen)
    http.emit('connection', socket)
    socket.resume()
  }

  socket.on('data', onData)
  socket.on('end', onEnd)
  socket.on('drain', onDrain)
  socket.on('close', () => client.closed())
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function textOf(line: Buffer): string | undefined {
  try {
    return utf8.decode(line)
  } catch {
    return undefined
  }
}

function drained(socket: Socket | ServerResponse): Promise<void> {
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

// -- HTTP

function createHttp(plane: Plane, level: Level, dispatch: Dispatch): HttpServer {
  const server = createHttpServer({ maxHeaderSize: 16_384, keepAliveTimeout: 5000 }, (request, response) => {
    const answered =
      request.method === 'POST' && request.url === '/'
        ? answerPost(plane, level, dispatch, request, response)
        : answerGet(plane, request, response)
    answered.catch((error: unknown) => {
      plane.daemon.bug('http', error)
      response.destroy()
    })
  })
  // This server never listens, so only the sockets' own inactivity timer runs.
  server.timeout = 60_000
  return server
}

async function answerGet(plane: Plane, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume()
  if ((request.method === 'GET' || request.method === 'HEAD') && request.url === '/metrics') {
    const text = prometheusText([...(await plane.daemon.server.measure()), ...plane.measure()])
    send(response, 200, PROMETHEUS_TYPE, request.method === 'HEAD' ? '' : text)
    return
  }
  const known = request.url === '/metrics' || request.url === '/'
  send(response, known ? 405 : 404, 'text/plain; charset=utf-8', 'POST / with one JSON-RPC 2.0 text, or GET /metrics\n')
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}

async function answerPost(
  plane: Plane,
  level: Level,
  dispatch: Dispatch,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request)
  if (body.isErr()) {
    if (body.error === 'cut') return
    plane.count(level, 'invalid-request')
    response.setHeader('Connection', 'close')
    const failure = {
      failure: 'invalid-request',
      reason: 'line-too-long',
      message: `A body holds at most ${LINE_LIMIT} octets`,
    } as const
    send(response, 413, 'application/json', `${refusal(null, failure)}\n`)
    return
  }
  const client = createClient(
    level,
    'http',
    (line) => response.write(`${line}\n`),
    () => {
      if (response.headersSent) response.end()
    },
    (events) => plane.lostEvents(events),
  )
  response.on('drain', () => client.drained())
  response.on('close', () => client.closed())
  const answer = await dispatch(body.value, client)
  if (response.destroyed) {
    client.closed()
    return
  }
  if (client.streams > 0) {
    // The reply and then the events, a line each, until the client hangs up.
    request.socket.setTimeout(0)
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    client.reply(answer)
  } else if (answer === undefined) {
    response.writeHead(204)
    response.end()
  } else send(response, 200, 'application/json', `${answer}\n`)
}

/** The body, or why there is none: too long, or the client went away. */
function bodyOf(request: IncomingMessage): Promise<Result<string, 'too-long' | 'cut'>> {
  return new Promise((resolve) => {
    let parts: Buffer[] = []
    let bytes = 0
    request.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes <= LINE_LIMIT) parts.push(part)
      else {
        // What still comes is dropped until the reply is out and the connection closes.
        parts = []
        resolve(err('too-long'))
      }
    })
    request.on('end', () => resolve(ok(Buffer.concat(parts).toString('utf8'))))
    request.on('error', () => resolve(err('cut')))
    request.on('close', () => resolve(err('cut')))
  })
}
