// TLS: the certificates, how clients meet them, and reading them again.
import { ok } from 'neverthrow'
import { z } from 'zod'
import type { CertificateState, TlsState } from '../../contract/daemon.ts'
import { method } from '../row.ts'
import { configError, count, dryRun, list, reason, sha256, silentLanes, time } from '../schema.ts'
import { placeOf, timeOf, wireConfigError, wireFailure, without } from '../wire.ts'

const certificate = z
  .object({
    names: list(z.string()).describe('In control/tls.'),
    issuer: z.string(),
    expires: time,
    fingerprint: sha256.describe('SHA-256 of the certificate.'),
    loaded: time,
    keyType: z.string(),
    begins: time,
    subject: z.string(),
    hosts: list(z.string()).describe('In the certificate.'),
    certificate: z.string().optional().describe('The file.'),
    line: count.describe('Of control/tls.'),
  })
  .meta({ title: 'Certificate' })

const EXAMPLE = {
  names: ['mail.example.org'],
  issuer: "C=US, O=Let's Encrypt, CN=E7",
  expires: '2027-01-20T09:00:00.000Z',
  fingerprint: '5e1f0a3c9d7b42681f0e5d3c2b1a09f8e7d6c5b4a392817065f4e3d2c1b0a998',
  loaded: '2026-11-22T09:00:00.000Z',
  keyType: 'ec',
  begins: '2026-10-22T09:00:00.000Z',
  subject: 'CN=mail.example.org',
  hosts: ['mail.example.org'],
  certificate: '/etc/letsencrypt/live/mail.example.org/fullchain.pem',
  line: 1,
} as const

const wireCertificate = ({ begins, expires, loaded, ...rest }: CertificateState): z.input<typeof certificate> => ({
  ...rest,
  begins: timeOf(begins),
  expires: timeOf(expires),
  loaded: timeOf(loaded),
})

/** From 0 to 1; nothing before the first handshake. */
function shareOf(handshakes: TlsState['handshakes']): number | undefined {
  const resumed = handshakes.reduce((sum, row) => sum + row.resumed, 0)
  const all = handshakes.reduce((sum, row) => sum + row.full, resumed)
  return all === 0 ? undefined : resumed / all
}

export const tlsMethods = {
  'tls.list': method({
    sentence: 'Lists the certificates in use, and counts handshakes by version and cipher, and failed ones by reason.',
    params: z.strictObject({}),
    result: z.object({
      certificates: list(certificate),
      errors: list(configError).describe('Why files on disk are not in use; empty if all are.'),
      handshakes: list(z.object({ version: z.string(), cipher: z.string(), full: count, resumed: count })),
      resumedShare: z.number().min(0).max(1).optional().describe('Of all handshakes.'),
      failures: z.record(z.string(), count),
      silentLanes,
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        certificates: [EXAMPLE],
        errors: [],
        handshakes: [{ version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', full: 120, resumed: 360 }],
        resumedShare: 0.75,
        failures: { 'plain-text': 2 },
        silentLanes: [],
      },
    },
    cli: { rows: 'certificates', columns: ['names', 'keyType', 'expires', 'issuer', 'fingerprint', 'loaded'] },
    run: async ({ daemon }) => {
      const { certificates, errors, handshakes, ...rest } = await daemon.tls.list()
      const resumedShare = shareOf(handshakes)
      return ok({
        ...rest,
        certificates: certificates.map(wireCertificate),
        errors: errors.map(wireConfigError),
        handshakes,
        ...(resumedShare === undefined ? {} : { resumedShare }),
      })
    },
    redact: (result) => ({
      ...result,
      certificates: result.certificates.map((one) => without(one, 'certificate')),
      errors: result.errors.map(placeOf),
    }),
  }),
  'tls.reload': method({
    sentence: 'Reads the files of control/tls again; an error leaves every certificate as it was loaded.',
    params: z.strictObject({ reason, dryRun }),
    result: z.object({ certificates: list(certificate), dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { reason: 'renewed' }, result: { certificates: [EXAMPLE], dryRun: false } },
    cli: { rows: 'certificates', columns: ['names', 'keyType', 'expires', 'issuer', 'fingerprint', 'loaded'] },
    run: async ({ daemon }, params) =>
      (await daemon.tls.reload({ by: 'control', ...params }))
        .map((all) => ({ certificates: all.map(wireCertificate), dryRun: params.dryRun }))
        .mapErr(wireFailure),
  }),
}
