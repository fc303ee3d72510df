// A backend is asked what it offers, at the start and when control/ changes: EHLO shows that before the login where control/smtpcapabilities
// says `probe`, and elsewhere the log has what to change there.

import type { Config } from '../config/config.ts'
import type { LogLevel } from '../contract/daemon.ts'
import type { LogFields } from '../edge/log.ts'
import type { HelperPlace } from '../protocol/helper.ts'
import { compareKeywords, keywordLines, offeredOf } from '../protocol/keywords.ts'
import { askBackend } from './probe.ts'

/** A helper that has yet to start, or a backend that has yet to be mended. */
const AGAIN_MILLISECONDS = 5000

export interface Capabilities {
  /** What the backend offers, as far as it is known. */
  readonly lines: () => readonly string[]
  /** The configuration is another one. */
  readonly look: () => void
  readonly stop: () => void
}

export interface CapabilitiesHost {
  readonly place: HelperPlace
  readonly config: () => Config
  /** New clients of every lane hear these. */
  readonly publish: (lines: readonly string[]) => void
  readonly log: (level: LogLevel, event: string, fields: LogFields) => void
}

export function createCapabilities({ place, config, publish, log }: CapabilitiesHost): Capabilities {
  let known: readonly string[] = []
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let looks = 0

  function look(): void {
    clearTimeout(timer)
    looks += 1
    void probe(looks)
  }

  async function probe(number: number): Promise<void> {
    const { chains, probesCapabilities, smtpCapabilities, smtpGreeting } = config()
    const chain = chains.chains.find(({ kind }) => kind === 'probe')
    if (chain === undefined) return
    const told = await askBackend(place, chain.name, smtpGreeting)
    // A later look knows better.
    if (stopped || number !== looks) return
    if (told.isErr()) {
      log('warn', 'probe-failed', { chain: chain.name, message: told.error.message })
      if (probesCapabilities) timer = setTimeout(look, AGAIN_MILLISECONDS).unref()
      return
    }
    const lines = keywordLines(told.value.ehlo)
    if (probesCapabilities) {
      known = offeredOf(lines)
      log('info', 'capabilities', { chain: chain.name, offered: known.join(', ') })
      publish(known)
      return
    }
    const advice = compareKeywords(smtpCapabilities, lines)
    if (advice.length === 0) return
    const change = advice.map((each) => `${each.do} ${each.line}`).join(', ')
    log('warn', 'capabilities-differ', { chain: chain.name, change })
  }

  return {
    lines: () => known,
    look,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
