// What comes to a mail port and is no mail: HTTP that a browser was made to send, TLS where a mail command should be, a PROXY header from a
// peer that may not send one. Each ends the session before a line of it is taken for a command.
import type { Command } from './command.ts'
import { beginsHttpRequest, isHttpRequest } from './http.ts'

/** Also the names of what the client hears (FAULTS in dialogue.ts). */
export type Foreign = 'http' | 'tlsnow' | 'proxied'

/** RFC 8446 section 5.1: a record of a handshake, and the first octet of its version, whatever that is. No verb begins so. */
const HANDSHAKE = 0x16
const VERSION = 0x03

export const beginsTls = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === HANDSHAKE && bytes[at + 1] === VERSION

/** The third line of the signature of a PROXY header of version 2, after two empty ones. */
const SIGNATURE = '\0\r\n'

/** A line whose verb is none of ours. */
export function foreignCommand(command: Command, line: string): Foreign | undefined {
  if (isHttpRequest(command)) return 'http'
  return command.verb === 'PROXY' || line === SIGNATURE ? 'proxied' : undefined
}

/** The same of a line that is too long to be looked at; `begin` is its first 16 octets or more. */
export const foreignLine = (begin: string): Foreign | undefined => (beginsHttpRequest(begin) ? 'http' : undefined)
