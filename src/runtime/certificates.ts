// The certificates that lanes use, and the keys of their session tickets. The files are looked at every half a minute, so that a
// renewed certificate is used without anybody saying so; while something is wrong with one, all that was loaded stays.

import { err, ok, type Result } from 'neverthrow'
import { type LoadedCertificate, loadCertificates, marksOf } from '../config/certificates.ts'
import type { Config } from '../config/config.ts'
import { newTicketKey, type TicketKey, type TlsMaterial } from '../edge/tls.ts'
import type { ConfigError } from '../protocol/errors.ts'

const LOOK_SECONDS = 30
const ROTATE_SECONDS = 12 * 3600
/** Tickets of the last day and a half still resume. */
const TICKET_KEYS = 3

export interface Certificates {
  readonly material: () => TlsMaterial | undefined
  readonly loaded: () => readonly LoadedCertificate[]
  /** When they were read, in milliseconds since 1970. */
  readonly loadedAt: () => number
  /** What was wrong when the files were last looked at. */
  readonly lastErrors: () => readonly ConfigError[]
  /** Reads what the configuration names. Lanes hear of it if it is good. */
  readonly load: (config: Config, by: LoadedBy) => Result<readonly LoadedCertificate[], readonly ConfigError[]>
  readonly stop: () => void
}

export type LoadedBy = 'start' | 'reload' | 'changed-file' | 'control'

export interface CertificatesHost {
  /** Gives new handshakes of every lane this. */
  readonly publish: (material: TlsMaterial) => void
  readonly loaded: (certificates: readonly LoadedCertificate[], by: LoadedBy) => void
  readonly failed: (errors: readonly ConfigError[], by: LoadedBy) => void
}

export function createCertificates(host: CertificatesHost): Certificates {
  let tickets: readonly TicketKey[] = [newTicketKey()]
  let config: Config | undefined
  let loaded: readonly LoadedCertificate[] = []
  let loadedAt = 0
  let errors: readonly ConfigError[] = []
  let marks = ''

  const material = (): TlsMaterial | undefined =>
    config === undefined || loaded.length === 0 ? undefined : materialOf(config, loaded, tickets)

  function publish(): void {
    const current = material()
    if (current !== undefined) host.publish(current)
  }

  function load(wanted: Config, by: LoadedBy): Result<readonly LoadedCertificate[], readonly ConfigError[]> {
    const before = marksOf(wanted.certificates)
    const read = loadCertificates(wanted.certificates, Date.now())
    // What changes while it is read is seen as changed at the next look.
    marks = before
    if (read.isErr()) {
      errors = read.error
      host.failed(errors, by)
      return err(errors)
    }
    config = wanted
    loaded = read.value
    loadedAt = Date.now()
    errors = []
    publish()
    host.loaded(loaded, by)
    return ok(loaded)
  }

  const looking = setInterval(() => {
    if (config !== undefined && marksOf(config.certificates) !== marks) load(config, 'changed-file')
  }, LOOK_SECONDS * 1000).unref()
  const rotating = setInterval(() => {
    tickets = [newTicketKey(), ...tickets].slice(0, TICKET_KEYS)
    publish()
  }, ROTATE_SECONDS * 1000).unref()

  return {
    material,
    loaded: () => loaded,
    loadedAt: () => loadedAt,
    lastErrors: () => errors,
    load,
    stop: () => {
      clearInterval(looking)
      clearInterval(rotating)
    },
  }
}

const materialOf = (
  config: Config,
  loaded: readonly LoadedCertificate[],
  tickets: readonly TicketKey[],
): TlsMaterial => ({
  pairs: loaded.map(({ pair }) => pair),
  minimum: `TLSv${config.tlsMinimum}`,
  ciphers: config.tlsCiphers,
  unknownName: config.tlsUnknownName,
  tickets,
})
