// What can be put under load: acceptd, the classic chain, another mail server. A side starts a server as it is wished and says how to
// reach it and which processes to account.

/** sha256-crypt with 1000 rounds, the least there is; sha512-crypt with its usual 5000; yescrypt as Debian makes them. */
export type Hash = 'sha256' | 'sha512' | 'yescrypt'

/** `trace` and `metrics` are what somebody asks of it while it is measured. */
export type Feature = 'limits' | 'access' | 'senders' | 'fleet' | 'trace' | 'metrics'

export interface Setup {
  readonly protocol: 'smtp' | 'pop3'
  /** user0 .. user(users-1), with the passwords secret0 .. */
  readonly users: number
  /** Simultaneous sessions that it must be able to serve. */
  readonly clients: number
  /** Lines of control/fixsmtpio; the first twelve are the recommended ones, the others match no reply. */
  readonly rules: number
  /** acceptd only: checkpassword as a program of its own, or linked into the helper. */
  readonly chain: 'exec' | 'builtin'
  /** acceptd only: warm logins. */
  readonly warm: boolean
  /** acceptd only, with `builtin`: verified passwords are not hashed again. */
  readonly verified: boolean
  /** What the passwords are hashed with. */
  readonly hash: Hash
  /** What serves a session: it throws messages away, runs a queue program for each, or is a mail system of this machine. */
  readonly backend: 'discard' | 'queue' | 'real'
  /** acceptd only; undefined: its default. */
  readonly lanes: number | undefined
  /** A second listener, with TLS from the first octet. */
  readonly tls: boolean
  /** acceptd only: what else it has to do for each session. */
  readonly features: readonly Feature[]
  /** acceptd only: a directory for the CPU profiles of its threads. */
  readonly profile: string | undefined
}

export const plainSetup: Setup = {
  protocol: 'smtp',
  users: 100,
  clients: 64,
  rules: 12,
  chain: 'exec',
  warm: false,
  verified: false,
  hash: 'sha256',
  backend: 'discard',
  tls: false,
  features: [],
  lanes: undefined,
  profile: undefined,
}

export interface Running {
  readonly port: number
  /** Of the listener with TLS. */
  readonly tlsPort?: number
  readonly controlSocket: string | undefined
  /** acceptd only: its control directory. */
  readonly control?: string
  /** The processes at the top; everything below them is accounted too. */
  readonly pids: readonly number[]
  /** Is this one of the server's own processes, as against checkpassword and backend? By its command name. */
  readonly isOwn: (command: string) => boolean
  /** What goes on while it is under load, until the function that comes back is called. */
  readonly meanwhile?: () => () => Promise<void>
  readonly stop: () => Promise<void>
}

export interface Side {
  readonly name: string
  /** One sentence for the table: what it is and what it does with the message. */
  readonly what: string
  /** Why it cannot run here; undefined if it can. */
  readonly absent: () => string | undefined
  readonly start: (setup: Setup) => Promise<Running>
  /** What is set higher for the bench than it is by default. */
  readonly raised?: string
  /** Seconds of load after which V8 has compiled what is used; before them it is not measured. */
  readonly settling?: number
  /** Debian packages that `--install` fetches. */
  readonly packages?: readonly string[]
}
