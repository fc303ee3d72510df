// Certificates, made for the test that asks.
import { chmodSync, chownSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { must } from './run.ts'

export interface Certificate {
  /** Of control/tls. */
  readonly name: string
  readonly certificate: string
  readonly key: string
}

/** A line of control/tls. */
export const tlsLine = ({ name, certificate, key }: Certificate): string => `${name} ${certificate} ${key}\n`

/**
 * Self-signed, P-256 or, after `rsa:`, RSA-2048, valid for two days; both files in `dir`, the key for its owner only. A pair that is
 * there already is replaced, the key first.
 */
export async function makeCertificate(
  dir: string,
  name = 'localhost',
  owner?: { readonly uid: number; readonly gid: number },
): Promise<Certificate> {
  const [kind, host] = name.startsWith('rsa:') ? (['rsa', name.slice(4)] as const) : (['ec', name] as const)
  const base = join(dir, `${host.replace('*', 'any')}${kind === 'rsa' ? '-rsa' : ''}`)
  const files = { certificate: `${base}.pem`, key: `${base}.key` }
  const algorithm = kind === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  await must([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    ...algorithm,
    '-noenc',
    '-days',
    '2',
    '-subj',
    `/CN=${host}`,
    '-addext',
    `subjectAltName=DNS:${host},IP:127.0.0.1`,
    '-keyout',
    `${files.key}.new`,
    '-out',
    `${files.certificate}.new`,
  ])
  chmodSync(`${files.key}.new`, 0o600)
  if (owner !== undefined) chownSync(`${files.key}.new`, owner.uid, owner.gid)
  renameSync(`${files.key}.new`, files.key)
  renameSync(`${files.certificate}.new`, files.certificate)
  return { name: host, ...files }
}
