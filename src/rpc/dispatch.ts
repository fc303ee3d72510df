// From a JSON text to its answer. json-rpc-2.0 does the protocol's core; what it leaves open is decided here: which shapes are requests,
// parameters by name only, levels, batches in order and bounded.
import {
  createJSONRPCErrorResponse,
  createJSONRPCSuccessResponse,
  type JSONRPCRequest,
  JSONRPCServer,
} from 'json-rpc-2.0'
import { err, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import { wireError } from '../contract/failure.ts'
import { type Context, HANDING } from './context.ts'
import { METHOD_MAP } from './methods.ts'
import { readOctets } from './octets.ts'
import { describeMethods } from './openrpc.ts'
import type { Method } from './row.ts'
import type { Client } from './streams.ts'

export const BATCH_LIMIT = 100
/** What the answers to a batch may come to; the rest of it is answered busy, and does nothing. */
const BATCH_BYTES = 16 * 1024 * 1024

/** The answer to a JSON text, one JSON text without a newline; undefined if there is none (notifications). Never rejects. */
export type Dispatch = (text: string, client: Client) => Promise<string | undefined>

export function createDispatch(context: Context): Dispatch {
  describeMethods(METHOD_MAP)
  const server = serverOf(context)
  return async (text, client) => {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return refuse(context, client, null, { failure: 'parse-error', reason: 'parse-error', message: 'Parse error' })
    }
    try {
      return await (Array.isArray(value)
        ? answerBatch(context, server, value, client)
        : answerOne(context, server, value, client))
    } catch (error) {
      context.daemon.bug('dispatch', error)
      return refuse(context, client, null, INTERNAL_ERROR)
    }
  }
}

const INTERNAL_ERROR: RpcFailure = {
  failure: 'internal-error',
  reason: 'internal-error',
  message: 'A bug of acceptd; its log has the stack',
}

type Server = JSONRPCServer<Client>

/** The table's methods, each for those who may ask it. */
function serverOf(context: Context): Server {
  const server: Server = new JSONRPCServer({ errorListener: (where, error) => context.daemon.bug(where, error) })
  for (const [name, method] of METHOD_MAP)
    server.addMethodAdvanced(name, async (request, client) => {
      const id = request.id ?? null
      const answered = await answerOf(context, name, method, client, request.params ?? {})
      context.count(client.level, answered.isOk() ? 'ok' : answered.error.failure)
      if (answered.isOk()) return createJSONRPCSuccessResponse(id, answered.value)
      const { code, message, data } = wireError(answered.error)
      return createJSONRPCErrorResponse(id, code, message, data)
    })
  server.mapErrorToJSONRPCErrorResponse = (id) => {
    const { code, message, data } = wireError(INTERNAL_ERROR)
    return createJSONRPCErrorResponse(id, code, message, data)
  }
  return server
}

/** As one caller asks it; what it changes is told, and saved. */
export async function answerOf(
  context: Context,
  name: string,
  method: Method,
  client: Client,
  params: unknown,
): Promise<Result<unknown, RpcFailure>> {
  const { level, answer, changes } = method
  if (level === 'status' || client.level === 'control') {
    if (changes && context.daemon.isHanding()) return err(HANDING)
    const answered = await answer({ context, daemon: context.daemon, client }, params)
    if (changes && answered.isOk()) tellChange(context, name, method, client, params)
    // What the operator was told has been saved, whatever happens next.
    if (changes) await context.daemon.saved()
    return answered
  }
  return err({
    failure: 'permission',
    reason: 'control-socket-only',
    message: `${name} is answered on the control socket only`,
  })
}

/** The event of a change: what, of whom or what, why, and who asked. The parameters have been found good. */
function tellChange(context: Context, name: string, { cli }: Method, client: Client, params: unknown): void {
  if (!isRecord(params) || params.dryRun === true) return
  const subject = cli.args?.map((arg) => params[arg]).find((value) => value !== undefined)
  const { reason } = params
  context.daemon.events.tell({
    at: Date.now(),
    topic: 'op',
    name: 'done',
    data: {
      method: name,
      ...((typeof subject === 'string' || typeof subject === 'number') && { subject: readOctets(`${subject}`) }),
      ...(typeof reason === 'string' && { reason: readOctets(reason) }),
      caller: `${client.level} socket`,
    },
  })
}

function refuse(context: Context, client: Client, id: unknown, failure: RpcFailure): string {
  context.count(client.level, failure.failure)
  return refusal(id, failure)
}

async function answerOne(
  context: Context,
  server: Server,
  value: unknown,
  client: Client,
): Promise<string | undefined> {
  const checked = requestOf(value)
  if ('failure' in checked) return refuse(context, client, idOf(value), checked)
  const { request } = checked
  if (!server.hasMethod(request.method)) {
    const refused = refuse(context, client, request.id, noMethod(request.method))
    return request.id === undefined ? undefined : refused
  }
  const response = await server.receive(request, client)
  // The library answers a notification whose method answered; JSON-RPC does not.
  if (request.id === undefined || response === null) return undefined
  return JSON.stringify(response)
}

/** One after the other, in order. */
async function answerBatch(
  context: Context,
  server: Server,
  batch: readonly unknown[],
  client: Client,
): Promise<string | undefined> {
  if (batch.length === 0 || batch.length > BATCH_LIMIT)
    return refuse(context, client, null, {
      failure: 'invalid-request',
      reason: batch.length === 0 ? 'empty-batch' : 'batch-too-long',
      message: `A batch holds 1 to ${BATCH_LIMIT} requests`,
    })
  const answers: string[] = []
  let bytes = 0
  for (const each of batch) {
    // Nobody reads the answer.
    if (client.isGone) break
    const answer =
      bytes < BATCH_BYTES
        ? await answerOne(context, server, each, client)
        : refuse(context, client, idOf(each), {
            failure: 'busy',
            reason: 'answers-too-long',
            message: 'The answers to this batch are too long; this request was not executed',
          })
    if (answer === undefined) continue
    bytes += answer.length
    answers.push(answer)
  }
  return answers.length === 0 ? undefined : `[${answers.join(',')}]`
}

/** An error response, as a transport needs it for what never becomes a request. */
export function refusal(id: unknown, failure: RpcFailure): string {
  const known = typeof id === 'string' || typeof id === 'number' ? id : null
  return JSON.stringify({ jsonrpc: '2.0', id: known, error: wireError(failure) })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function idOf(value: unknown): unknown {
  return isRecord(value) ? value.id : null
}

function invalid(message: string): RpcFailure {
  return { failure: 'invalid-request', reason: 'invalid-request', message }
}

function requestOf(value: unknown): { readonly request: JSONRPCRequest } | RpcFailure {
  if (!isRecord(value)) return invalid('A request is an object')
  const { jsonrpc, method, id, params } = value
  if (jsonrpc !== '2.0') return invalid('jsonrpc must be "2.0"')
  if (typeof method !== 'string') return invalid('method must be a string')
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number')
    return invalid('id must be a string, a number or null')
  if (params !== undefined && !isRecord(params))
    return {
      failure: 'invalid-params',
      reason: 'params-by-name',
      message: 'params must be an object: parameters have names',
    }
  return {
    request: {
      jsonrpc,
      method,
      ...(id !== undefined && { id }),
      ...(params !== undefined && { params }),
    },
  }
}

function noMethod(name: string): RpcFailure {
  return {
    failure: 'method-not-found',
    reason: 'method-not-found',
    message: `There is no method ${name.slice(0, 100)}; rpc.discover lists them`,
  }
}
