// The conversation before login, as values. A protocol is a table of verbs; a verb looks at the dialogue and answers.
// smtp.ts and pop3.ts hold the two tables; actors/authup.ts carries out the answers.

import type { LoginMethod, MechanismName } from './sasl.ts'
import { type OwnReply, promisesStatus, replyText } from './status.ts'
import type { ProxiedClient } from './xclient.ts'

/** What control/ and the listener say about the conversation before login; plain data, shared by all sessions of a listener. */
export interface DialogueSettings {
  readonly protocol: 'smtp' | 'pop3'
  /** control/smtpgreeting or control/pop3greeting; default control/me. */
  readonly greeting: string
  /** Lines of control/smtpcapabilities or control/pop3capabilities. */
  readonly capabilities: readonly string[]
  readonly tls: 'none' | 'offer' | 'require'
  /** AUTHUP_SASL_BROKEN_CLIENTS: a second line `AUTH=LOGIN PLAIN`. */
  readonly brokenClients: boolean
  /** There is a chain for peers that do not authenticate. */
  readonly guest: boolean
  /** How clients may log in, in the order in which it is shown. */
  readonly mechanisms: readonly LoginMethod[]
  /** Octets that checkpassword reads. */
  readonly credentials: number
  /** The program authup by itself: RSET before login is 530, as recorded. */
  readonly classic: boolean
}

/** What the verbs may look at. */
export interface DialogueView {
  readonly settings: DialogueSettings
  readonly tlsOn: boolean
  /** The client may say XCLIENT and XFORWARD. */
  readonly trusted: boolean
  /** `<pid.time@greeting>`: RFC 1939 section 7, and the challenge of CRAM-MD5. */
  readonly timestamp: string
  /** POP3: the argument of USER, undefined before it. */
  readonly user: string | undefined
  /** Users whom the client's certificate names, the one that it stands for by itself first. */
  readonly external: readonly string[]
}

/** What the client's next line continues. */
export interface Exchange {
  readonly mechanism: MechanismName
  /** LOGIN: the name, while the password is awaited; else empty. */
  readonly user: string
}

export interface Login {
  readonly user: string
  /** A copy in memory of its own: wipe() it. */
  readonly password: Uint8Array
  readonly mechanism: LoginMethod
}

export type Answer =
  | { readonly do: 'reply'; readonly text: string }
  | { readonly do: 'helo'; readonly text: string; readonly esmtp: boolean }
  | { readonly do: 'user'; readonly text: string; readonly user: string }
  /** A continuation request, the challenge not yet in base 64. */
  | { readonly do: 'ask'; readonly challenge: string; readonly exchange: Exchange }
  | { readonly do: 'login'; readonly login: Login }
  | { readonly do: 'fault'; readonly fault: Fault }
  /** The user wants to act as another (RFC 4616). */
  | { readonly do: 'not-authorized'; readonly user: string }
  | { readonly do: 'starttls'; readonly text: string }
  | { readonly do: 'proxied'; readonly client: ProxiedClient }
  | { readonly do: 'guest' }
  | { readonly do: 'quit'; readonly text: string }

/** `rest` is the argument with the blanks around it (command.ts). */
export type Verb = (argument: string, view: DialogueView, rest: string) => Answer
/** The same of a line that may hold a password: views of it, which are wiped when the line is done with. */
export type SecretVerb = (argument: Uint8Array, view: DialogueView, rest: Uint8Array) => Answer

export interface Protocol {
  readonly greet: (view: DialogueView) => string
  /** Rows by verb, upper case. */
  readonly verbs: Readonly<Record<string, Verb>>
  /** Verbs whose line may hold a password. */
  readonly secretVerbs: readonly { readonly verb: string; readonly answer: SecretVerb }[]
  readonly unknown: Verb
  /** `text` in the place of the fault's own, if it is not empty. */
  readonly fault: (fault: Fault, view: DialogueView, text?: string) => string
  /** What marks a continuation request. */
  readonly mark: string
  /** Longest command with this verb in octets, its line ending included. */
  readonly limit: (verb: string) => number
  /** Longest line of any kind in octets. */
  readonly longest: number
}

/** What can go wrong, with its reply code and enhanced status (RFC 3463), and its POP3 response code (RFC 2449, 3206). */
export const FAULTS = {
  control: { text: 'unable to read controls', code: '421', status: '4.3.0', pop3: 'SYS/PERM' },
  timeout: { text: 'timeout', code: '451', status: '4.4.2', pop3: '' },
  eof: { text: 'unable to read pipe', code: '454', status: '4.3.0', pop3: '' },
  crash: { text: 'aack, child crashed', code: '454', status: '4.3.0', pop3: 'SYS/TEMP' },
  badauth: { text: 'authorization failed', code: '535', status: '5.7.8', recorded: '5.7.0', pop3: 'AUTH' },
  blocked: { text: 'account is blocked', code: '535', status: '5.7.13', pop3: 'AUTH' },
  limited: { text: 'too many logins', code: '454', status: '4.7.0', pop3: 'LOGIN-DELAY' },
  inuse: { text: 'too many sessions', code: '454', status: '4.7.0', pop3: 'IN-USE' },
  noauth: { text: 'auth type unimplemented', code: '504', status: '5.5.4', recorded: '5.5.1', pop3: '' },
  input: { text: 'malformed auth input', code: '501', status: '5.5.4', pop3: '' },
  base64: { text: 'malformed auth input', code: '501', status: '5.5.2', recorded: '5.5.4', pop3: '' },
  premature: { text: 'this mechanism has no initial response', code: '501', status: '5.7.0', pop3: '' },
  cancelled: { text: 'auth exchange cancelled', code: '501', status: '5.0.0', pop3: '' },
  starttls: { text: 'TLS temporarily not available', code: '454', status: '4.7.0', recorded: '5.7.3', pop3: '' },
  encrypt: { text: 'encryption required for authentication', code: '538', status: '5.7.11', pop3: '' },
  needtls: { text: 'Must start TLS first', code: '530', status: '5.7.0', pop3: '' },
  tempfail: { text: 'temporary authentication failure', code: '454', status: '4.7.0', pop3: 'SYS/TEMP' },
  helper: { text: 'authentication temporarily not available', code: '454', status: '4.3.0', pop3: 'SYS/TEMP' },
  toolongauth: { text: 'line too long', code: '500', status: '5.5.6', recorded: '5.5.2', pop3: '' },
  toolong: { text: 'line too long', code: '500', status: '5.5.2', pop3: '' },
  nothing: { text: 'command missing', code: '500', status: '5.5.2', pop3: '' },
  http: { text: 'HTTP is not spoken here', code: '421', status: '4.7.0', pop3: '' },
  tlsnow: { text: 'TLS cannot begin here', code: '421', status: '4.7.0', pop3: '' },
  proxied: { text: 'PROXY headers are not taken from you', code: '421', status: '4.7.0', pop3: '' },
  shutdown: { text: 'service shutting down', code: '421', status: '4.3.2', pop3: 'SYS/TEMP' },
} as const satisfies Record<string, OwnReply & { readonly pop3: string }>

export type Fault = keyof typeof FAULTS

/** What a client hears that is not served now, whatever it has asked for. */
export const notNow = ({ protocol, capabilities }: DialogueSettings, status: string, text: string): string =>
  protocol === 'smtp'
    ? replyText({ code: '421', status, text }, promisesStatus(capabilities))
    : `-ERR [SYS/TEMP] ${text}\r\n`

/** The same to one that will not be served later either. */
export const never = ({ protocol, capabilities }: DialogueSettings, status: string, text: string): string =>
  protocol === 'smtp'
    ? replyText({ code: '554', status, text }, promisesStatus(capabilities))
    : `-ERR [SYS/PERM] ${text}\r\n`
