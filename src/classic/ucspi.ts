// UCSPI-TLS (http://www.suspectclass.com/sgifford/ucspi-tls/): the parent has the keys. It is asked on SSLCTLFD, and afterwards the
// client is heard on SSLREADFD and spoken to on SSLWRITEFD.

import { Socket } from 'node:net'
import { textOf } from '../protocol/bytes.ts'

export type TlsLevel = 'none' | 'offer' | 'require'
type Environment = Readonly<Record<string, string | undefined>>

export interface TlsDescriptors {
  readonly control: number
  readonly read: number
  readonly write: number
}

/** UCSPITLS: `!` requires TLS, unset or `-` turns it off, anything else offers it; DISABLETLS wins. */
export function tlsLevel(env: Environment): TlsLevel {
  const { UCSPITLS, DISABLETLS } = env
  if (DISABLETLS !== undefined || UCSPITLS === undefined || UCSPITLS === '-') return 'none'
  return UCSPITLS === '!' ? 'require' : 'offer'
}

/** Undefined where the parent has not said them. */
export function tlsDescriptors(env: Environment): TlsDescriptors | undefined {
  const [control, read, write] = [env['SSLCTLFD'], env['SSLREADFD'], env['SSLWRITEFD']].map((text) =>
    /^\d{1,7}$/.test(text ?? '') ? Number(text) : -1,
  ) as [number, number, number]
  return control < 0 || read < 0 || write < 0 ? undefined : { control, read, write }
}

/** Octets of variables, more than any certificate's names take. */
const MOST = 65_536

/** Asks for TLS; calls back with the parent's NAME=VALUE strings, or undefined where there is no TLS to be had. */
export function negotiateTls(
  descriptors: TlsDescriptors | undefined,
  timeout: number,
  done: (variables: readonly string[] | undefined) => void,
): void {
  if (descriptors === undefined) {
    done(undefined)
    return
  }
  let said = ''
  let waiting = true
  let control: Socket
  const settle = (variables: readonly string[] | undefined): void => {
    if (!waiting) return
    waiting = false
    clearTimeout(timer)
    control?.pause()
    done(variables)
  }
  const timer = setTimeout(() => settle(undefined), timeout)
  try {
    control = new Socket({ fd: descriptors.control, readable: true, writable: true, allowHalfOpen: true })
  } catch {
    settle(undefined)
    return
  }
  control.on('error', () => settle(undefined))
  control.on('end', () => settle(undefined))
  control.on('data', (bytes: Buffer) => {
    said += textOf(bytes)
    // Strings that each end in NUL, then an empty one.
    const end = said.startsWith('\0') ? 0 : said.indexOf('\0\0')
    if (end >= 0) settle(said.slice(0, end).split('\0').filter(isVariable))
    else if (said.length > MOST) settle(undefined)
  })
  control.write('Y')
}

/** What the parent hands on goes into an environment: no empty names. */
const isVariable = (text: string): boolean => text.indexOf('=') > 0
