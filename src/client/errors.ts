// What a call or a stream ends with, as one class: an error that acceptd answered, or why there is no answer.
import type { FailureName } from './table/methods.ts'
import type { ConfigError } from './table/records.ts'

/** The member `error` of an answer. */
export interface WireError {
  readonly code: number
  readonly message: string
  readonly data?: Readonly<Record<string, unknown>>
}

/**
 * A name of FAILURES, or of the client's own: unreachable (nobody listens there), closed (the connection ended before the answer: what
 * was asked may have been done), unanswered (not in time; the same), unknown (of a later acceptd).
 */
export type Failure = FailureName | 'unreachable' | 'closed' | 'unanswered' | 'unknown'

export class AcceptdError extends Error {
  override readonly name = 'AcceptdError'
  readonly failure: Failure
  /** Of JSON-RPC; 0 for the client's own. */
  readonly code: number
  /** A word that says more than the code and never changes. */
  readonly reason: string
  /** Whether the same request may succeed later without anybody mending anything. */
  readonly retryable: boolean
  readonly data: Readonly<Record<string, unknown>>

  constructor(failure: Failure, { code, message, data = {} }: WireError) {
    super(message)
    this.failure = failure
    this.code = code
    this.data = data
    this.reason = typeof data['reason'] === 'string' ? data['reason'] : failure
    this.retryable = data['retryable'] === true
  }

  /** What is wrong in control files, where that is why: each with file, line and column. */
  get errors(): readonly ConfigError[] {
    const { errors } = this.data
    return Array.isArray(errors) ? errors : []
  }
}
