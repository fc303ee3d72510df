// UCSPI-TLS (http://www.suspectclass.com/sgifford/ucspi-tls/): the parent has the keys. It is asked on SSLCTLFD, and afterwards the
// client is heard on SSLREADFD and spoken to on SSLWRITEFD.

import { Socket } from 'node:net'
import { textOf } from '../protocol/bytes.ts'
import type { Client } from './client.ts'

export type TlsLevel = 'none' | 'offer' | 'require'
type Environment = Readonly<Record<string, string | undefined>>

export interface TlsDescriptors {
  readonly control: number
  readonly read: number
  readonly write: number
}

/** UCSPITLS: what is in `required` requires TLS, unset or `-` turns it off, anything else offers it; DISABLETLS wins. */
export function tlsLevel(env: Environment, required: readonly string[]): TlsLevel {
  const { UCSPITLS, DISABLETLS } = env
  if (DISABLETLS !== undefined || UCSPITLS === undefined || UCSPITLS === '-') return 'none'
  return required.includes(UCSPITLS) ? 'require' : 'offer'
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

/**
 * TLS with the client, which reads and writes on the decrypted descriptors from then on. Calls back with the parent's NAME=VALUE strings
 * and the octets of plaintext that were thrown away; undefined for the strings where TLS is not available.
 */
export function startTls(
  client: Client,
  descriptors: TlsDescriptors | undefined,
  timeout: number,
  done: (variables: readonly string[] | undefined, discarded: number) => void,
): void {
  client.discardPlaintext((octets) =>
    client.whenWritten(() => {
      if (descriptors === undefined) {
        done(undefined, octets)
        return
      }
      // The parent shares the client's open files, and may handshake on them with blocking reads and writes: s6-ucspitlsd does.
      client.setBlocking(true)
      negotiate(descriptors.control, timeout, (variables) => {
        if (variables === undefined) client.setBlocking(false)
        else client.replace(descriptors.read, descriptors.write)
        done(variables, octets)
      })
    }),
  )
}

function negotiate(controlFd: number, timeout: number, done: (variables: readonly string[] | undefined) => void): void {
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
    control = new Socket({ fd: controlFd, readable: true, writable: true, allowHalfOpen: true })
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
