// The shape of a row of the method table. Leaving a column out does not compile.
import { err, ok, type Result } from 'neverthrow'
import type { z } from 'zod'
import type { RpcFailure, Soon } from '../contract/daemon.ts'
import type { Client, Context } from './context.ts'
import { shown } from './octets.ts'

/** status: everybody who can open status.sock (R in the documents); control: control.sock only. */
export type Level = 'status' | 'control'

/** The context of a method, apart from its parameters. */
export interface Call {
  readonly context: Context
  readonly daemon: Context['daemon']
  readonly client: Client
}

/** How acceptctl shows a method. Names are those of parameters and of members of the result. */
export interface CommandLine {
  /** Parameters that may be given without `--name`, in this order. */
  readonly args?: readonly string[]
  /** The member that is a list, one table row an entry; left out, the result is shown as one record. */
  readonly rows?: string
  /** What the table shows, in this order; `tls.version` reaches inside. Left out, every member. */
  readonly columns?: readonly string[]
  /** A member that is a count: 0 means that nothing matched. */
  readonly matched?: string
  /** A member that is a list of `{file, state, needsRestart, lines}`. */
  readonly diff?: string
  /** A member whose word is an exit code; those without a row are 0. `unknown`: where there is no answer, as Nagios wants it. */
  readonly exits?: {
    readonly member: string
    readonly codes: Readonly<Record<string, number>>
    readonly unknown?: number
  }
  /** A member that is one line for people, above the table. */
  readonly summary?: string
  /** A member that says whether what was asked about is good. */
  readonly valid?: string
  /** A parameter that is a text (`--NAME-file PATH`) or texts by name (`[NAME=]PATH` ... after the options). */
  readonly file?: string
  /** A member that is a text to be shown as it is. */
  readonly raw?: string
  /** A parameter that is never given on the command line but read from standard input. */
  readonly secret?: string
  /** A file and a line of it, which may be one word FILE:LINE. */
  readonly place?: readonly [file: string, line: string]
  /** Events of this topic are shown on standard error until the reply comes. */
  readonly follows?: 'op'
  /** The reply is followed by notifications until it ends. */
  readonly stream?: true
}

interface Row<P extends z.ZodObject, R extends z.ZodType> {
  /** What it does, for a person: one sentence. */
  readonly sentence: string
  readonly params: P
  readonly result: R
  readonly level: Level
  /** Whether it changes anything in the daemon. */
  readonly changes: boolean
  /** Executed by the tests, shown in the documents. */
  readonly example: { readonly params: z.input<P>; readonly result: z.output<R> }
  readonly cli: CommandLine
  readonly run: (call: Call, params: z.output<P>) => Soon<Result<z.input<R>, RpcFailure>>
  /** The result is a text or a document of ours, not of octets that came from somewhere: it is sent as it is. */
  readonly verbatim?: true
  /** What status.sock sees instead. */
  readonly redact?: (result: z.input<R>, params: z.output<P>) => z.input<R>
}

export interface Method {
  readonly sentence: string
  readonly params: z.ZodObject
  readonly result: z.ZodType
  readonly level: Level
  readonly changes: boolean
  readonly example: { readonly params: Readonly<Record<string, unknown>>; readonly result: unknown }
  readonly cli: CommandLine
  /** Validates, and only then does anything. */
  readonly answer: (call: Call, params: unknown) => Promise<Result<unknown, RpcFailure>>
}

export function method<P extends z.ZodObject, R extends z.ZodType>(row: Row<P, R>): Method {
  return {
    sentence: row.sentence,
    params: row.params,
    result: row.result,
    level: row.level,
    changes: row.changes,
    example: row.example,
    cli: row.cli,
    answer: async (call, params) => {
      const parsed = row.params.safeParse(params)
      if (!parsed.success) return err(invalidParams(parsed.error))
      const answer = await row.run(call, parsed.data)
      if (answer.isErr()) return err(shown(answer.error))
      const redacts = row.redact !== undefined && call.client.level !== 'control'
      const result = redacts ? row.redact(answer.value, parsed.data) : answer.value
      return ok(row.verbatim ? result : shown(result))
    },
  }
}

/** Names the parameters, never repeats a value: one of them may be a password. */
function invalidParams(error: z.ZodError): RpcFailure {
  const problems = error.issues.map((issue) => ({
    param: issue.path.map(String).join('.') || (issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : ''),
    problem: issue.code === 'unrecognized_keys' ? 'unknown parameter' : issue.message.replace(/^Invalid input: /, ''),
  }))
  return {
    failure: 'invalid-params',
    reason: 'invalid-params',
    message: problems.map(({ param, problem }) => (param ? `${param}: ${problem}` : problem)).join('; '),
    data: { problems },
  }
}
