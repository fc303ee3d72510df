// How a client is made and asked.

/** An AbortSignal, as far as it is looked at. */
export interface Cancel {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

export interface AcceptdOptions {
  /** Of control.sock, or of status.sock. By default that in ACCEPTD_SOCKET, or /run/acceptd/control.sock. */
  readonly path?: string
  /** Seconds for an answer; 60. */
  readonly timeout?: number
  /** Seconds that a stream whose connection has ended looks for acceptd again; 60. */
  readonly patience?: number
}

export interface CallOptions {
  /** Seconds for the answer. */
  readonly timeout?: number
  /** The call rejects with its reason; what was asked may be done all the same. */
  readonly signal?: Cancel
}

export interface StreamOptions {
  /** Ends the stream; next() rejects with its reason. */
  readonly signal?: Cancel
  /** Seconds that a stream whose connection has ended looks for acceptd again. */
  readonly patience?: number
}

/** Begins immediately. `return`, which a `break` in a loop calls, ends it. */
export interface Stream<Item, Reply> {
  /** What acceptd answers to the subscription. */
  readonly ready: Promise<Reply>
  next(): Promise<IteratorResult<Item, undefined>>
  return(): Promise<IteratorResult<Item, undefined>>
  [Symbol.asyncIterator](): Stream<Item, Reply>
}
