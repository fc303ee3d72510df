// What a client may be called and what it may know: the messages of SASL mechanisms, and the checks that USER and PASS share with them.
import { err, ok, type Result } from 'neverthrow'
import { bytesOf, copyOf, textOf } from './bytes.ts'

/** Asks to act as another than who logs in. */
export interface NotAuthorized {
  readonly user: string
}

export interface PlainCredentials {
  /** Latin-1 text, one character a byte. */
  readonly user: string
  /** A copy in memory of its own: wipe() it. */
  readonly password: Uint8Array
}

/**
 * RFC 4616 2: message = [authzid] UTF8NUL authcid UTF8NUL passwd. A third NUL ends the password and what follows is dropped, as
 * acceptutils did; an empty name or password, and control characters, are malformed. Nobody may act as another: the server
 * "will verify that the authentication credentials permit the client to act as the (presented or derived) authorization identity".
 */
export function decodePlain(bytes: Uint8Array): Result<PlainCredentials, 'malformed' | NotAuthorized> {
  const first = bytes.indexOf(0)
  if (first < 0) return err('malformed')
  const second = bytes.indexOf(0, first + 1)
  if (second < 0) return err('malformed')
  const third = bytes.indexOf(0, second + 1)
  const user = textOf(bytes.subarray(first + 1, second))
  const password = bytes.subarray(second + 1, third < 0 ? bytes.length : third)
  if (!acceptableUser(user) || !acceptablePassword(password)) return err('malformed')
  const asked = textOf(bytes.subarray(0, first))
  if (asked !== '' && asked !== user) return err({ user })
  return ok({ user, password: copyOf(password) })
}

/** Who logs in, and a copy of what proves it in memory of its own: wipe() it. */
export interface NamedSecret {
  readonly user: string
  readonly secret: Uint8Array
}

const named = (user: string, secret: Uint8Array): NamedSecret | undefined =>
  acceptableUser(user) ? { user, secret: copyOf(secret) } : undefined

const SPACE = 32
const DIGEST_OCTETS = 32

/** RFC 2195 section 2, and APOP of RFC 1939 section 7: a name, a space, 32 hexadecimal digits in lower case. */
export function decodeDigest(bytes: Uint8Array): NamedSecret | undefined {
  const space = bytes.lastIndexOf(SPACE)
  const digest = bytes.subarray(space + 1)
  if (space < 0 || digest.length !== DIGEST_OCTETS || !digest.every(isHexDigit)) return undefined
  return named(textOf(bytes.subarray(0, space)), digest)
}

const isHexDigit = (octet: number): boolean => (octet >= 48 && octet <= 57) || (octet >= 97 && octet <= 102)

/** `user=NAME ^A auth=Bearer TOKEN ^A ^A`, without the blanks around ^A. */
export function decodeXoauth2(bytes: Uint8Array): NamedSecret | undefined {
  const [user, auth, ...rest] = partsOf(bytes)
  if (user === undefined || auth === undefined || !isEnd(rest)) return undefined
  const token = tokenOf(auth)
  return token !== undefined && hasKey(user, 'user') ? named(textOf(user.subarray(5)), token) : undefined
}

/**
 * RFC 7628 section 3.1: a GS2 header (RFC 5801 section 4), then pairs, of which `auth` holds the token. The name is that of the header:
 * a checkpassword has to be told whose token it is. Channel binding (`p=`) is not to be had.
 */
export function decodeBearer(bytes: Uint8Array): NamedSecret | undefined {
  const parts = partsOf(bytes)
  const [header, ...pairs] = parts.slice(0, -2)
  const escaped = header && /^[ny],a=((?:[^,=]|=2C|=3D)+),$/.exec(textOf(header))?.[1]
  const auth = pairs.find((pair) => hasKey(pair, 'auth'))
  if (escaped === undefined || auth === undefined || !isEnd(parts.slice(-2))) return undefined
  const token = tokenOf(auth)
  return (
    token &&
    named(
      escaped.replace(/=2C|=3D/g, (code) => (code === '=2C' ? ',' : '=')),
      token,
    )
  )
}

/** What ^A separates. */
function partsOf(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  let from = 0
  for (let at = bytes.indexOf(1); at >= 0; at = bytes.indexOf(1, from)) {
    parts.push(bytes.subarray(from, at))
    from = at + 1
  }
  return [...parts, bytes.subarray(from)]
}

const isEnd = (parts: readonly Uint8Array[]): boolean => parts.length === 2 && parts.every(({ length }) => length === 0)

const hasKey = (pair: Uint8Array, key: string): boolean => textOf(pair.subarray(0, key.length + 1)) === `${key}=`

const BEARER = 'auth=bearer '

/** RFC 6750 section 2.1; the scheme is in either case (RFC 9110 section 11.1). */
function tokenOf(auth: Uint8Array): Uint8Array | undefined {
  const token = auth.subarray(BEARER.length)
  const isBearer = textOf(auth.subarray(0, BEARER.length)).toLowerCase() === BEARER
  return isBearer && token.length > 0 && token.every((octet) => octet > SPACE && octet < 127) ? token : undefined
}

/** The name goes to descriptor 3, into the environment and into the log: no NUL ends it early and no control character writes a second line. */
export function acceptableUser(user: string): boolean {
  if (user.length === 0) return false
  for (let at = 0; at < user.length; at++) {
    const code = user.charCodeAt(at)
    if (code < 0x20 || code === 0x7f) return false
  }
  return true
}

/** NUL ends the password on descriptor 3, and no client can type CR or LF. */
export function acceptablePassword(password: Uint8Array): boolean {
  if (password.length === 0) return false
  for (const byte of password) if (byte === 0 || byte === 10 || byte === 13) return false
  return true
}

/** What a checkpassword may be able to check: plain passwords, answers to a challenge made with them, or tokens. */
/** SASL mechanisms that are spoken here. */
export type MechanismName = Exclude<CheckedMechanism, 'APOP'> | 'EXTERNAL'

/** How a client may log in, the commands of POP3 among it. */
export type LoginMethod = MechanismName | 'USER' | 'APOP'

export const CHECKED_MECHANISMS = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'APOP', 'XOAUTH2', 'OAUTHBEARER'] as const
export type CheckedMechanism = (typeof CHECKED_MECHANISMS)[number]

/** What proves the user is good for this session only. */
export const isChallenged = (mechanism: string): boolean => mechanism === 'CRAM-MD5' || mechanism === 'APOP'

/** checkpassword(8): "There are at most 512 bytes of data before end of file." */
export const CREDENTIALS_LIMIT = 512

/** What descriptor 3 carries: user NUL password NUL timestamp NUL. The caller wipes it. */
export function credentialsFor(
  user: string,
  password: Uint8Array,
  timestamp: string,
  limit: number,
): Result<Uint8Array, 'too-long'> {
  const size = user.length + password.length + timestamp.length + 3
  if (size > limit) return err('too-long')
  const out = new Uint8Array(size)
  out.set(bytesOf(user), 0)
  out.set(password, user.length + 1)
  out.set(bytesOf(timestamp), user.length + password.length + 2)
  return ok(out)
}
