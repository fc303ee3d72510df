// The errors of the control socket: a row each. `data` is always `{ reason, retryable, ... }`; the message is for people.
import { err } from 'neverthrow'
import type { RpcFailure } from './daemon.ts'

export const FAILURES = {
  'parse-error': { code: -32700, retryable: false, exit: 1, sentence: 'The line is not JSON.' },
  'invalid-request': {
    code: -32600,
    retryable: false,
    exit: 1,
    sentence: 'The JSON is not a request of JSON-RPC 2.0.',
  },
  'method-not-found': { code: -32601, retryable: false, exit: 2, sentence: 'There is no such method.' },
  'invalid-params': {
    code: -32602,
    retryable: false,
    exit: 2,
    sentence: 'The parameters do not fit; nothing happened.',
  },
  'internal-error': { code: -32603, retryable: false, exit: 1, sentence: 'A bug of acceptd; the log has the stack.' },
  permission: { code: -32001, retryable: false, exit: 1, sentence: 'This socket may not ask that.' },
  'not-found': { code: -32002, retryable: false, exit: 3, sentence: 'What the parameters name does not exist.' },
  busy: {
    code: -32003,
    retryable: true,
    exit: 75,
    sentence: 'Another change is under way, or too much is asked at once.',
  },
  conflict: {
    code: -32004,
    retryable: false,
    exit: 4,
    sentence: 'The configuration is no longer the one in ifSha256.',
  },
  'wrong-state': { code: -32005, retryable: false, exit: 1, sentence: 'Not possible now, e.g. while stopping.' },
  timeout: { code: -32006, retryable: true, exit: 75, sentence: 'A lane or the helper did not answer in time.' },
  'needs-restart': {
    code: -32008,
    retryable: false,
    exit: 1,
    sentence: 'Only a restart of acceptd takes these files (data.needsRestart); nothing changed.',
  },
  'config-invalid': {
    code: -32010,
    retryable: false,
    exit: 78,
    sentence: 'Errors in control files; nothing changed; data.errors has each with file, line and column.',
  },
  'lane-refused': {
    code: -32011,
    retryable: true,
    exit: 75,
    sentence: 'A lane refused the generation; all went back.',
  },
  io: { code: -32012, retryable: true, exit: 75, sentence: 'A file could not be read or written.' },
  'helper-unavailable': { code: -32013, retryable: true, exit: 75, sentence: 'The helper cannot be reached.' },
} as const satisfies Readonly<Record<string, FailureRow>>

interface FailureRow {
  readonly code: number
  /** Whether the same request may succeed later without anybody mending anything. */
  readonly retryable: boolean
  /** acceptctl's exit code. */
  readonly exit: number
  readonly sentence: string
}

export type FailureName = keyof typeof FAILURES

/** The error member of a JSON-RPC response. */
export interface WireError {
  readonly code: number
  readonly message: string
  readonly data: { readonly reason: string; readonly retryable: boolean } & Readonly<Record<string, unknown>>
}

export function wireError(failure: RpcFailure): WireError {
  const { code, retryable } = FAILURES[failure.failure]
  return { code, message: failure.message, data: { retryable, ...failure.data, reason: failure.reason } }
}

export const failure = (
  name: RpcFailure['failure'],
  reason: string,
  message: string,
  data?: RpcFailure['data'],
): RpcFailure => ({
  failure: name,
  reason,
  message,
  ...(data === undefined ? {} : { data }),
})

export const notFound = (reason: string, message: string) => err(failure('not-found', reason, message))
