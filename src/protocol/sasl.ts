// What a client may be called and what it may know: SASL PLAIN (RFC 4616), and the checks that LOGIN, USER and PASS share with it.
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
export const CHECKED_MECHANISMS = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'APOP', 'XOAUTH2', 'OAUTHBEARER'] as const
export type CheckedMechanism = (typeof CHECKED_MECHANISMS)[number]

/** checkpassword(8): "There are at most 512 bytes of data before end of file." */
export const CREDENTIALS_LIMIT = 512

/** What descriptor 3 carries: user NUL password NUL timestamp NUL. The caller wipes it. */
export function credentialsFor(user: string, password: Uint8Array, timestamp: string): Result<Uint8Array, 'too-long'> {
  const size = user.length + password.length + timestamp.length + 3
  if (size > CREDENTIALS_LIMIT) return err('too-long')
  const out = new Uint8Array(size)
  out.set(bytesOf(user), 0)
  out.set(password, user.length + 1)
  out.set(bytesOf(timestamp), user.length + password.length + 2)
  return ok(out)
}
