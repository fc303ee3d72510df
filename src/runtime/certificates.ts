// The certificates that lanes use, and the keys of their session tickets. The files are looked at every half a minute, so that a
// renewed certificate is used without anybody saying so; while something is wrong with one, all that was loaded stays. Keys are
// in memory only, so that the runtime after one that died reads the files again, and takes what can be used at all.

import { err, ok, type Result } from 'neverthrow'
import { type LoadedCertificate, type LoadedTls, marksOf, NOTHING_LOADED, readTls } from '../config/certificates.ts'
import type { Config } from '../config/config.ts'
import type { Sample } from '../contract/metrics.ts'
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
  readonly samples: () => readonly Sample[]
  /** Reads what the configuration names. Lanes hear of it if it is good. */
  readonly load: (
    config: Config,
    by: LoadedBy,
    reason?: string,
  ) => Result<readonly LoadedCertificate[], readonly ConfigError[]>
  /** Of session tickets, the newest first. */
  readonly tickets: () => readonly TicketKey[]
  readonly useTickets: (keys: readonly TicketKey[]) => void
  readonly stop: () => void
}

/** `reload`: the configuration has changed, and names others or another use of them. */
export type LoadedBy = 'start' | 'reload' | 'signal' | 'changed-file' | 'control'

export interface CertificatesHost {
  /** Gives new handshakes of every lane this. */
  readonly publish: (material: TlsMaterial) => void
  readonly loaded: (certificates: readonly LoadedCertificate[], by: LoadedBy, reason?: string) => void
  readonly failed: (errors: readonly ConfigError[], by: LoadedBy) => void
}

export function createCertificates(host: CertificatesHost): Certificates {
  let tickets: readonly TicketKey[] = [newTicketKey()]
  const readings = new Map<string, { by: LoadedBy; outcome: 'ok' | 'failed'; value: number }>()
  let config: Config | undefined
  let loaded: LoadedTls = NOTHING_LOADED
  let loadedAt = 0
  let errors: readonly ConfigError[] = []
  let marks = ''

  const material = (): TlsMaterial | undefined =>
    config === undefined || loaded.certificates.length === 0 ? undefined : materialOf(config, loaded, tickets)

  function count(by: LoadedBy, outcome: 'ok' | 'failed'): void {
    const key = `${by} ${outcome}`
    const row = readings.get(key) ?? { by, outcome, value: 0 }
    row.value += 1
    readings.set(key, row)
  }

  function publish(): void {
    const current = material()
    if (current !== undefined) host.publish(current)
  }

  function load(wanted: Config, by: LoadedBy, reason?: string): ReturnType<Certificates['load']> {
    const before = marksOf(wanted)
    const read = readTls(wanted, Date.now())
    // What changes while it is read is seen as changed at the next look.
    marks = before
    const used = config
    config = wanted
    errors = read.errors
    const isGood = errors.length === 0
    count(by, isGood ? 'ok' : 'failed')
    // A runtime in the place of one that died has nothing else; at a start of acceptd an error ends it.
    if (isGood || loaded.certificates.length === 0) {
      loaded = read.usable
      loadedAt = Date.now()
    }
    // The pairs stay; what else has changed, such as the ciphers, is used with them.
    if (isGood || used !== wanted) publish()
    if (isGood) host.loaded(loaded.certificates, by, reason)
    else host.failed(errors, by)
    return isGood ? ok(loaded.certificates) : err(errors)
  }

  const looking = setInterval(() => {
    if (config !== undefined && marksOf(config) !== marks) load(config, 'changed-file')
  }, LOOK_SECONDS * 1000).unref()
  const useTickets = (keys: readonly TicketKey[]): void => {
    tickets = keys.slice(0, TICKET_KEYS)
    publish()
  }
  const rotating = setInterval(() => useTickets([newTicketKey(), ...tickets]), ROTATE_SECONDS * 1000).unref()

  return {
    material,
    loaded: () => loaded.certificates,
    loadedAt: () => loadedAt,
    lastErrors: () => errors,
    samples: () => [
      ...[...readings.values()].map(
        ({ by, outcome, value }): Sample => ({
          metric: 'acceptd_certificate_reloads_total',
          labels: { by, outcome },
          value,
        }),
      ),
      ...loaded.certificates.map(expiryOf),
    ],
    load,
    tickets: () => tickets,
    useTickets,
    stop: () => {
      clearInterval(looking)
      clearInterval(rotating)
    },
  }
}

function expiryOf({ files, facts }: LoadedCertificate): Sample {
  const labels = { names: files.names.join(','), key: facts.keyType }
  return { metric: 'acceptd_certificate_expires_seconds', labels, value: Math.round(facts.expires / 1000) }
}

const materialOf = (
  config: Config,
  { certificates, authorities }: LoadedTls,
  tickets: readonly TicketKey[],
): TlsMaterial => ({
  pairs: certificates.map(({ pair }) => pair),
  authorities,
  minimum: `TLSv${config.tlsMinimum}`,
  ciphers: config.tlsCiphers,
  unknownName: config.tlsUnknownName,
  tickets,
})
