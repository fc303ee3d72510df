// The control plane's view of TLS: the certificates that lanes have, and the handshakes that they have done.

import { err, ok } from 'neverthrow'
import { type LoadedCertificate, loadTls } from '../../config/certificates.ts'
import type { CertificateState, Daemon, TlsState } from '../../contract/daemon.ts'
import { failure } from '../../contract/failure.ts'
import type { Sample } from '../../contract/metrics.ts'
import type { Runtime } from '../runtime.ts'
import { measureLanes } from './server.ts'

export const tlsOf = (runtime: Runtime): Daemon['tls'] => ({
  async list() {
    const measured = await measureLanes(runtime)
    const { certificates } = runtime
    return {
      certificates: shown(certificates.loaded(), certificates.loadedAt()),
      errors: certificates.lastErrors(),
      ...counted(runtime.counted([])),
      silentLanes: measured.flatMap(({ lane, measure }) => (measure === undefined ? [lane.lane] : [])),
    }
  },
  reload({ by, reason, dryRun }) {
    const { config } = runtime.current()
    const read = dryRun
      ? loadTls(config, Date.now()).map(({ certificates }) => certificates)
      : runtime.certificates.load(config, by, reason)
    if (read.isOk()) return ok(shown(read.value, dryRun ? Date.now() : runtime.certificates.loadedAt()))
    const errors = read.error
    const message = `${errors.length} errors; the certificates that were loaded stay`
    return err(failure('config-invalid', 'certificates-invalid', message, { errors, errorCount: errors.length }))
  },
})

const shown = (all: readonly LoadedCertificate[], loaded: number): readonly CertificateState[] =>
  all.map(({ files: { line, names, certificate }, facts }) => ({ line, names, certificate, ...facts, loaded }))

/** Sums over the lanes. */
function counted(samples: readonly Sample[]): Pick<TlsState, 'handshakes' | 'failures'> {
  const handshakes = new Map<string, { version: string; cipher: string; full: number; resumed: number }>()
  const failures: Record<string, number> = {}
  for (const { metric, labels, value } of samples) {
    if (metric === 'acceptd_tls_failures_total') failures[labels.reason] = (failures[labels.reason] ?? 0) + value
    if (metric !== 'acceptd_tls_handshakes_total') continue
    const { version, cipher, kind } = labels
    const key = `${version}\t${cipher}`
    const row = handshakes.get(key) ?? { version, cipher, full: 0, resumed: 0 }
    handshakes.set(key, row)
    if (kind === 'resumed') row.resumed += value
    else row.full += value
  }
  return { handshakes: [...handshakes.values()], failures }
}
