// What the daemon says to accept-helper, and what it hears; native/README.md is the contract.

import { bytesOf, concat } from './bytes.ts'

/** What a chain asks of a client: a password, that TLS has shown who it is, or nothing. */
export type HelperKind = 'auth' | 'certificate' | 'guest'

export interface HelperRequest {
  readonly kind: HelperKind
  readonly session: string
  readonly chain: string
  /** NAME=VALUE, latin-1. */
  readonly environment: readonly string[]
  /** user NUL password NUL timestamp NUL; empty for a guest. */
  readonly credentials: Uint8Array
}

/** The request with its length before it; it holds a secret, and its writer wipes it. */
export function encodeHelperRequest(request: HelperRequest): Uint8Array {
  const strings = bytesOf(`${[request.kind, request.session, request.chain, ...request.environment, ''].join('\0')}\0`)
  const length = strings.length + request.credentials.length
  const head = new Uint8Array(4)
  new DataView(head.buffer).setUint32(0, length)
  return concat([head, strings, request.credentials])
}

/** The standing connection's request. */
export const WATCH_REQUEST: Uint8Array = concat([new Uint8Array([0, 0, 0, 6]), bytesOf('watch\0')])

/** Longest status line, its LF included; a longer one is nonsense. */
export const LONGEST_STATUS = 1024

export interface Accepted {
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

/** How an attempt ended: what a status line says, or in two words of ours that there was none to ask for or to hear. */
export type HelperStatus =
  | { readonly is: 'ok'; readonly accepted: Accepted }
  /** The exit code of checkpassword, or the signal that killed it. */
  | { readonly is: 'exit' | 'signal'; readonly code: number }
  | { readonly is: 'root' | 'timeout' | 'busy' }
  | { readonly is: 'missing'; readonly text: string }
  /** By control/limits; `text` is for the client. */
  | { readonly is: 'limited' | 'in-use'; readonly text: string }
  | { readonly is: 'blocked' | 'unreachable' }

const UNREACHABLE: HelperStatus = { is: 'unreachable' }

/** A status line without its LF. One that the helper would not write is as if there were none. */
export function parseStatus(line: string): HelperStatus {
  const [, word = '', rest = ''] = /^([a-z]+)(?: (.*))?$/s.exec(line) ?? []
  switch (word) {
    case 'ok': {
      const [, uid, gid, pid] = /^(\d{1,10}) (\d{1,10}) (\d{1,10})$/.exec(rest) ?? []
      if (uid === undefined) return UNREACHABLE
      return { is: 'ok', accepted: { uid: Number(uid), gid: Number(gid), pid: Number(pid) } }
    }
    case 'exit':
    case 'signal':
      return /^\d{1,3}$/.test(rest) ? { is: word, code: Number(rest) } : UNREACHABLE
    case 'root':
    case 'timeout':
    case 'busy':
      return rest === '' ? { is: word } : UNREACHABLE
    case 'missing':
      return { is: 'missing', text: rest }
    default:
      return UNREACHABLE
  }
}

/** Where the helper comes from: acceptd starts `accept-helper serve`, a unit of its own does, or `accept-helper run` serves one login each. */
export const HELPER_MODES = ['serve', 'unit', 'run'] as const
export type HelperMode = (typeof HELPER_MODES)[number]

/** Where a login is asked for: the socket that `serve` holds, or the program to run for it. */
export type HelperPlace = { readonly socket: string } | { readonly program: string; readonly args: readonly string[] }
