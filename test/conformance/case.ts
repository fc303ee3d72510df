// The shape of a recorded case. Every string is a byte string: one character U+0000..U+00FF is one byte.

export type Step =
  | { readonly send: string }
  /** The unread output, normalised, must become exactly this. */
  | { readonly expect: string }
  /** As it was recorded. */
  | { readonly sleep_ms: number }
  /** Until the program has read everything and waits for more. */
  | { readonly settled: true }
  | { readonly eof: true }
  /** The parent's answer on the UCSPI-TLS control descriptor; afterwards the client is on the decrypted descriptors. */
  | { readonly tls: string; readonly got: string }

/** What a fake says: a text, or texts with milliseconds to wait between them. */
export type Said = string | null | readonly (string | number)[]

export interface BackendSpec {
  readonly greeting?: Said
  readonly after_greeting?: number | string
  readonly replies?: Readonly<Record<string, Said>>
  readonly exits?: Readonly<Record<string, number | string>>
  readonly data_reply?: Said
  readonly eof_exit?: number
  readonly stderr?: string
  /** Override the above, run by run; the last one is used from then on. */
  readonly per_run?: readonly BackendSpec[]
}

export interface ChildSpec {
  readonly uid?: boolean
  readonly out?: string
  readonly err?: string
  readonly read_lines?: number
  readonly out2?: string
  readonly signal?: number
  readonly exec?: boolean
  readonly exit?: number
}

export interface FakeRun {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly fd3?: string | null
  readonly uid?: readonly number[]
  readonly stdin?: string
}

export interface Result {
  readonly exit: number | string
  readonly stdout: string
  readonly stderr: string
  readonly backend_received?: string
  readonly backend_runs?: readonly FakeRun[]
  readonly child_runs?: readonly FakeRun[]
}

export interface Case {
  readonly name: string
  readonly about?: string
  readonly program: string
  /** With {backend}, {child}, {dir} and {bin} in them. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Files of control/; null: the file does not exist. */
  readonly control?: Readonly<Record<string, string | { readonly dir: true } | null>> | null
  readonly user?: string
  readonly tls?: boolean
  readonly backend?: BackendSpec
  readonly child?: readonly ChildSpec[]
  readonly steps: readonly Step[]
  readonly result: Result
}
