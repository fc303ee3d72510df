// acceptctl: asks and changes a running acceptd over its control socket. What it understands comes from the method table
// (src/rpc/commandline.ts); this file is the terminal, the files and the exit codes.
import { existsSync, readFileSync } from 'node:fs'
import { err, ok, type Result } from 'neverthrow'
import { Acceptd, AcceptdError, type StreamName } from '../client/client.ts'
import { FAILURES } from '../contract/failure.ts'
import { type Command, type Globals, parseCommand, type Request } from '../rpc/commandline.ts'
import { METHOD_MAP } from '../rpc/methods.ts'
import { shownOctets } from '../rpc/octets.ts'
import type { CommandLine } from '../rpc/row.ts'
import { cell, type Format, isRecord, plain, show, showEvent, showTrace } from '../rpc/show.ts'
import { candidates } from './acceptctl-complete.ts'
import { readSecret } from './acceptctl-secret.ts'
import { topLive, topOnce } from './acceptctl-top.ts'

const EXIT = { done: 0, error: 1, usage: 2, nothing: 3, unreachable: 69, lost: 74, temporary: 75, invalid: 78 } as const

/** What ends a command early: for stderr, or as JSON for -o json. */
interface Failure {
  readonly exit: number
  readonly error: { readonly code: number; readonly message: string; readonly data: Readonly<Record<string, unknown>> }
}

function own(exit: number, reason: string, message: string): Failure {
  return { exit, error: { code: 0, message, data: { reason, retryable: exit === EXIT.temporary } } }
}

function failureOf({ failure, code, message, data }: AcceptdError): Failure {
  switch (failure) {
    case 'unreachable':
    case 'closed':
      return own(EXIT.unreachable, failure, message)
    case 'unanswered':
      return own(EXIT.temporary, 'timeout', message)
    case 'unknown':
      return { exit: EXIT.error, error: { code, message, data } }
    default:
      return { exit: FAILURES[failure].exit, error: { code, message, data } }
  }
}

/** An answer, or why there is none. */
const answered = <T>(asked: Promise<T>): Promise<Result<T, AcceptdError>> =>
  asked.then(
    (answer) => ok(answer),
    (error: unknown) => {
      if (error instanceof AcceptdError) return err(error)
      throw error
    },
  )

/** A reader that has enough, such as head, ends us without a word; a full disk does not. */
function lose(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(EXIT.done)
  process.stderr.write(`acceptctl: the output cannot be written: ${error.message}\n`)
  process.exit(EXIT.lost)
}

function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, (error) => (error ? lose(error) : resolve())))
}

async function complain({ exit, error }: Failure, output: Format, cli: CommandLine = {}): Promise<number> {
  const unknown = cli.exits?.unknown
  if (unknown !== undefined && output === 'table') {
    await write(`ACCEPTD UNKNOWN: ${plain(error.message)}\n`)
    return unknown
  }
  if (output === 'json') await write(`${JSON.stringify({ error }, undefined, 2)}\n`)
  else if (output === 'jsonl') await write(`${JSON.stringify({ error })}\n`)
  else {
    const errors = Array.isArray(error.data.errors) ? error.data.errors.filter(isRecord) : []
    const lines = errors.map(
      ({ file, line, column, message, hint }) =>
        `${[file, line, column].map(cell).join(':')}: ${cell(message)}${hint ? ` (${cell(hint)})` : ''}`,
    )
    for (const line of lines.length > 0 ? lines : [error.message]) process.stderr.write(`acceptctl: ${plain(line)}\n`)
  }
  return unknown ?? exit
}

function socketPath({ socket }: { readonly socket?: string | undefined }): string {
  if (socket !== undefined) return socket
  const { ACCEPTD_SOCKET: fromEnvironment } = process.env
  if (fromEnvironment) return fromEnvironment
  const usual = '/run/acceptd/control.sock'
  const trial = 'var/run/control.sock'
  return !existsSync(usual) && existsSync(trial) ? trial : usual
}

/** Undefined: nothing is cut. */
function widthOf({ wide }: Globals): number | undefined {
  return process.stdout.isTTY && !wide ? process.stdout.columns : undefined
}

async function paramsOf({
  method,
  params,
  files,
  secretFd,
}: Request): Promise<Result<Record<string, unknown>, Failure>> {
  const all: Record<string, unknown> = { ...params }
  for (const { param, name, path } of files) {
    let text: string
    try {
      text = shownOctets(readFileSync(path === '-' ? 0 : path, 'latin1'))
    } catch (error) {
      return err(own(EXIT.usage, 'unreadable', `${path}: ${error instanceof Error ? error.message : String(error)}`))
    }
    const before = all[param]
    all[param] = name === undefined ? text : { ...(isRecord(before) && before), [name]: text }
  }
  return withSecret(method.cli.secret, secretFd, all)
}

async function withSecret(
  name: string | undefined,
  fd: number | undefined,
  params: Readonly<Record<string, unknown>>,
): Promise<Result<Record<string, unknown>, Failure>> {
  if (name === undefined) return ok({ ...params })
  const secret = await readSecret(name, fd)
  if (secret.isOk()) return ok({ ...params, [name]: secret.value })
  // As a shell says of a program that SIGINT has ended.
  if (secret.error === undefined) process.exit(130)
  return err(own(EXIT.usage, 'unreadable', secret.error))
}

/** Every page, if the words did not ask for one of them. */
async function askAll(
  client: Acceptd,
  request: Request,
  params: Record<string, unknown>,
): Promise<Result<unknown, AcceptdError>> {
  const { rows } = request.method.cli
  const paged = rows !== undefined && 'cursor' in request.method.params.shape
  if (!paged || params.limit !== undefined || params.cursor !== undefined)
    return answered(client.request(request.name, params))
  const entries: unknown[] = []
  let cursor: unknown
  for (;;) {
    const answer = await answered(
      client.request(request.name, { ...params, limit: 1000, ...(cursor !== undefined && { cursor }) }),
    )
    if (answer.isErr() || !isRecord(answer.value)) return answer
    const { [rows]: page, next, ...rest } = answer.value
    if (Array.isArray(page)) entries.push(...page)
    if (next === undefined) return ok({ [rows]: entries, ...rest })
    cursor = next
  }
}

/** Parameters that say how to list, not what. */
const UNFILTERED = new Set(['fields', 'sort', 'descending', 'limit', 'cursor', 'all'])

function exitOf(result: unknown, cli: CommandLine, isSearch: boolean): number {
  if (!isRecord(result)) return EXIT.done
  if (cli.valid !== undefined && result[cli.valid] === false) return EXIT.invalid
  const code = cli.exits?.codes[String(result[cli.exits.member])]
  if (code !== undefined) return code
  if (isSearch && cli.matched !== undefined && result[cli.matched] === 0) {
    process.stderr.write('acceptctl: nothing matches\n')
    return EXIT.nothing
  }
  return EXIT.done
}

/** Events until the stream ends, or acceptd has been away for too long. */
async function follow(stream: AsyncIterator<object, undefined>, output: Format, result: unknown): Promise<number> {
  const waits = isRecord(result) && result.matched === 0
  if (waits) process.stderr.write('acceptctl: no session matches yet; waiting for one\n')
  let seen = false
  for (;;) {
    const next = await answered(stream.next())
    if (next.isErr()) return complain(failureOf(next.error), output)
    const { value: params, done } = next.value
    if (done) break
    await write(output === 'table' || output === 'tsv' ? lineOf(params) : `${JSON.stringify(params)}\n`)
    if (isRecord(params) && params.topic === 'trace' && params.name !== 'ended') seen = true
  }
  return waits && !seen ? EXIT.nothing : EXIT.done
}

/** What happens on the way to the reply. */
async function showProgress(client: Acceptd, topic: 'op'): Promise<void> {
  const stream = client.stream('event.subscribe', { topics: [topic] })
  const begun = await answered(stream.ready)
  const next = async (): Promise<void> => {
    const event = await answered(stream.next())
    if (event.isErr() || event.value.done) return
    process.stderr.write(showEvent(event.value.value))
    await next()
  }
  if (begun.isOk()) void next()
}

/** Colours are for terminals: https://no-color.org. */
const colours = process.stdout.isTTY && (process.env.NO_COLOR ?? '') === ''

const lineOf = (params: unknown): string =>
  isRecord(params) && params.topic === 'trace' ? showTrace(params, colours) : showEvent(params)

async function top(client: Acceptd, { globals, ...order }: Extract<Command, { do: 'top' }>): Promise<number> {
  const ask = (method: string, params: object) => answered(client.request(method, params))
  if (process.stdout.isTTY && !order.once) {
    const ended = await topLive(ask, { ...order, colours })
    return ended.isErr() ? complain(failureOf(ended.error), globals.output) : EXIT.done
  }
  const picture = await topOnce(ask, { ...order, colours })
  if (picture.isErr()) return complain(failureOf(picture.error), globals.output)
  await write(picture.value)
  return EXIT.done
}

/** For a person who has pressed a key. */
const SOON = 2

const askSoon = (method: string, params: object, socket: string | undefined): Promise<unknown> =>
  new Acceptd({ path: socketPath({ socket }), timeout: SOON, patience: 0 }).request(method, params)

async function main(argv: readonly string[]): Promise<number> {
  const parsed = parseCommand(argv)
  if (parsed.isErr()) {
    const { problem, hint, output, more = '' } = parsed.error
    const exit = await complain(own(EXIT.usage, 'usage', `${problem} (${hint})`), output)
    if (output === 'table' || output === 'tsv') process.stderr.write(more)
    return exit
  }
  const command = parsed.value
  if (command.do === 'print') {
    await write(command.text)
    return EXIT.done
  }
  if (command.do === 'complete') {
    await write(await candidates(command.typed, askSoon))
    return EXIT.done
  }
  const { output, timeout } = command.globals
  const read = await (command.do === 'request'
    ? paramsOf(command.request)
    : command.do === 'call'
      ? withSecret(METHOD_MAP.get(command.name)?.cli.secret, undefined, command.params)
      : ok({}))
  if (read.isErr()) return complain(read.error, output)
  const client = new Acceptd({ path: socketPath(command.globals), timeout, patience: timeout })
  if (command.do === 'top') return top(client, command)

  const cli = command.do === 'call' ? METHOD_MAP.get(command.name)?.cli : command.request.method.cli
  // `call` shows the result itself.
  const format = command.do === 'call' && output === 'table' ? 'json' : output
  if (cli?.stream) {
    const [name, params] = [command.do === 'call' ? command.name : command.request.name, read.value]
    const stream = client.stream(name as StreamName, params)
    const begun = await answered(stream.ready)
    if (begun.isErr()) return complain(failureOf(begun.error), output)
    if (command.do === 'call') await write(show(begun.value, {}, format, widthOf(command.globals)))
    return follow(stream, output, begun.value)
  }
  if (command.do === 'request' && cli?.follows !== undefined) await showProgress(client, cli.follows)
  const answer = await (command.do === 'call'
    ? answered(client.request(command.name, read.value))
    : askAll(client, command.request, read.value))
  if (answer.isErr()) return complain(failureOf(answer.error), output, command.do === 'call' ? {} : cli)
  const result = answer.value
  await write(show(result, cli ?? {}, format, widthOf(command.globals)))
  // Without a filter nothing was looked for: an idle host is no failure.
  const isSearch = command.do === 'call' || Object.keys(command.request.params).some((param) => !UNFILTERED.has(param))
  return exitOf(result, cli ?? {}, isSearch)
}

process.stdout.on('error', lose)
main(process.argv.slice(2)).then(
  (exit) => process.exit(exit),
  (error: unknown) => {
    process.stderr.write(`acceptctl: a bug: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(EXIT.error)
  },
)
