// A certificate for localhost, made for the test that asks.
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { must } from './run.ts'

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** Self-signed, P-256, valid for two days; both files in `dir`, the key for its owner only. */
export async function makeCertificate(dir: string, name = 'localhost'): Promise<Certificate> {
  const files = { certificate: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) }
  await must([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-noenc',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=DNS:${name},IP:127.0.0.1`,
    '-keyout',
    files.key,
    '-out',
    files.certificate,
  ])
  chmodSync(files.key, 0o600)
  return files
}
