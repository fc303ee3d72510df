// Why a session ended: the field `why` of session-ended, of its event and of the metric. The words are an interface: acceptd(8).

interface Ending {
  /** The backend may be busy with something that is not its input: the helper is asked to end it (TERM, then KILL). */
  readonly cut: boolean
}

const LET: Ending = { cut: false }
const CUT: Ending = { cut: true }

export const ENDINGS = {
  quit: LET,
  'client-eof': LET,
  'backend-end': LET,
  timeout: CUT,
  'too-slow': CUT,
  refused: LET,
  misused: LET,
  root: LET,
  blocked: CUT,
  limited: LET,
  'in-use': LET,
  displaced: LET,
  'access-denied': LET,
  tempfail: LET,
  crashed: LET,
  missing: LET,
  busy: LET,
  unreachable: LET,
  completed: LET,
  'ended-timeout': LET,
  'ended-control': LET,
  'tls-failed': LET,
  'plaintext-before-tls': LET,
  'http-request': LET,
  'tls-unexpected': LET,
  'proxy-header-unexpected': LET,
  rule: LET,
  'data-refused': LET,
  'bare-line-end': LET,
  'dot-after-nul': LET,
  'from-refused': LET,
  'bad-bdat': LET,
  'message-given-up': LET,
  'backend-died': LET,
  'backend-nonsense': LET,
  'greeting-refused': LET,
  lingering: LET,
  ending: CUT,
  killed: CUT,
  'closed by the operator': LET,
  shutdown: LET,
  'service shutting down': LET,
  stopped: CUT,
  bug: LET,
} as const satisfies Readonly<Record<string, Ending>>

export type Why = keyof typeof ENDINGS

/** What the operator or the service wants of a session that is to end at its next boundary. */
export type ShutdownText = Extract<Why, 'closed by the operator' | 'service shutting down'>
