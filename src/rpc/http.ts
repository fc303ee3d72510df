// HTTP/1.1 on a control socket: POST / with one JSON-RPC text, GET /metrics, /healthz and /readyz; these on a loopback address too.

import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { err, ok, type Result } from 'neverthrow'
import type { HealthCheck, RpcFailure } from '../contract/daemon.ts'
import { addressMatcher } from '../contract/pages.ts'
import type { Context } from './context.ts'
import { type Dispatch, refusal } from './dispatch.ts'
import { LINE_LIMIT } from './line-input.ts'
import { PROMETHEUS_TYPE, prometheusText } from './prometheus.ts'
import type { Level } from './row.ts'
import { type Listening, listen } from './socket-path.ts'
import { createClient } from './streams.ts'
import { openHealth } from './wire.ts'

/** Connections for Prometheus. */
const METRICS_CLIENTS = 64

export function createHttp(context: Context, level: Level, dispatch: Dispatch): HttpServer {
  const server = createHttpServer({ maxHeaderSize: 16_384, keepAliveTimeout: 5000 }, (request, response) => {
    const answered =
      request.method === 'POST' && request.url === '/'
        ? answerPost(context, level, dispatch, request, response)
        : answerGet(context, request, response)
    answered.catch((error: unknown) => {
      context.daemon.bug('http', error)
      response.destroy()
    })
  })
  // This server never listens, so only the sockets' own inactivity timer runs.
  server.timeout = 60_000
  return server
}

const PLAIN_TEXT = 'text/plain; charset=utf-8'
const HELP = 'POST / with one JSON-RPC 2.0 text, or GET /metrics, /healthz or /readyz\n'

interface Page {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** What GET answers. */
const PAGES: Readonly<Record<string, (context: Context) => Promise<Page>>> = {
  '/metrics': async (context) => ({
    status: 200,
    type: PROMETHEUS_TYPE,
    text: prometheusText(await context.samples()),
  }),
  /** Whether it works, so that no other one is started in its place. */
  '/healthz': async ({ daemon }) => healthPage(await daemon.server.health()),
  /** Whether it is to be sent clients: for a balancer. */
  '/readyz': async ({ daemon }) => {
    const { draining } = await daemon.server.info()
    const page = healthPage(await daemon.server.health())
    return draining ? { ...page, status: 503, text: `draining\n${page.text}` } : page
  },
}

function healthPage(checks: readonly HealthCheck[]): Page {
  const failed = checks.some(({ state }) => state === 'failed')
  const text = openHealth(checks)
    .map(({ name, state, detail }) => `${name} ${state}: ${detail}\n`)
    .join('')
  return { status: failed ? 503 : 200, type: PLAIN_TEXT, text }
}

async function answerGet(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  request.resume()
  const path = (request.url ?? '').replace(/\?.*$/s, '')
  const page = Object.hasOwn(PAGES, path) ? PAGES[path] : undefined
  if (page !== undefined && (request.method === 'GET' || request.method === 'HEAD')) {
    const { status, type, text } = await page(context)
    send(response, status, type, request.method === 'HEAD' ? '' : text)
    return
  }
  const allowed = page !== undefined ? 'GET, HEAD' : path === '/' ? 'POST' : undefined
  // RFC 9110 section 15.5.6: a 405 says what is allowed.
  if (allowed !== undefined) response.setHeader('Allow', allowed)
  send(response, allowed === undefined ? 404 : 405, PLAIN_TEXT, HELP)
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}

async function answerPost(
  context: Context,
  level: Level,
  dispatch: Dispatch,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request)
  if (body.isErr()) {
    if (body.error === 'cut') return
    context.count(level, 'invalid-request')
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
    (events) => context.lostEvents(events),
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

/** Serves what GET answers, and nothing else, on a loopback address: there is no permission to check on TCP. */
export async function listenMetrics(
  context: Context,
  host: string,
  port: number,
): Promise<Result<Listening, RpcFailure>> {
  if (![addressMatcher('127.0.0.0/8'), addressMatcher('::1')].some((loopback) => loopback?.(host)))
    return err({ failure: 'wrong-state', reason: 'not-loopback', message: `${host} is not a loopback address` })
  const open = async (): Promise<Result<HttpServer, RpcFailure>> => {
    const server = createHttpServer(
      { maxHeaderSize: 8192, requestTimeout: 10_000, headersTimeout: 5000 },
      (request, response) => {
        void answerGet(context, request, response)
      },
    )
    server.maxConnections = METRICS_CLIENTS
    const bound = await listen(server, { host, port })
    if (bound.isErr()) return err(bound.error)
    server.on('error', (error) => context.daemon.bug('metrics', error))
    return ok(server)
  }
  const first = await open()
  if (first.isErr()) return err(first.error)
  let server = first.value
  const address = server.address()
  const at = typeof address === 'object' && address ? address.port : port
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return ok({
    address: host.includes(':') ? `[${host}]:${at}` : `${host}:${at}`,
    release: close,
    async reclaim() {
      const again = await open()
      if (again.isErr()) context.daemon.bug('metrics', again.error)
      else server = again.value
    },
    close,
  })
}
