// How the runtime and its host are: checks, each a sentence for people.

import { join } from 'node:path'
import type { HealthCheck } from '../../contract/daemon.ts'
import { isThere } from '../../edge/control-files.ts'
import { isPrivileged } from '../../edge/helper.ts'
import { openDescriptors } from '../../edge/sizing.ts'
import type { ConfigError } from '../../protocol/errors.ts'
import type { Runtime } from '../runtime.ts'
import { drift } from './config.ts'
import { type Measured, measureLanes } from './server.ts'

export async function healthOf(runtime: Runtime): Promise<readonly HealthCheck[]> {
  const measured = await measureLanes(runtime, 2)
  return [
    helperCheck(runtime),
    ...certificatesCheck(runtime),
    descriptorsCheck(runtime),
    lanesCheck(measured),
    filesCheck(runtime),
    stateCheck(runtime),
    ...socketsCheck(runtime),
  ]
}

/** A deleted socket is made again, but not in a directory that is gone: the account may not make another. Nothing where all is well. */
function socketsCheck(runtime: Runtime): readonly HealthCheck[] {
  const { run } = runtime.options
  const names = runtime.current().config.statusGroup === undefined ? ['control.sock'] : ['control.sock', 'status.sock']
  const gone = names.map((name) => join(run, name)).filter((path) => !isThere(path))
  if (gone.length === 0) return []
  const why = isThere(run) ? 'it cannot be made again' : `${run} is gone, too`
  return [{ name: 'sockets', state: 'failed', detail: `${gone.join(' and ')} is missing: ${why}; restart acceptd` }]
}

function helperCheck(runtime: Runtime): HealthCheck {
  const privileged = isPrivileged(runtime.options.helper)
  if (runtime.helperUp() === false) {
    return { name: 'helper', state: 'failed', detail: 'accept-helper does not answer on its socket; logins get 454' }
  }
  return {
    name: 'helper',
    state: privileged ? 'ok' : 'warning',
    detail: privileged
      ? 'accept-helper runs with its privileges'
      : 'accept-helper runs every chain as the account of acceptd',
  }
}

/** A renewed certificate should be there before this. */
const RENEWED_SECONDS = 14 * 86_400

/** The one that expires first; nothing where there is none. */
function certificatesCheck({ certificates }: Runtime): readonly HealthCheck[] {
  const [first] = certificates.loaded().toSorted((a, b) => a.facts.expires - b.facts.expires)
  const errors = certificates.lastErrors()
  const unusable = `what ${errors.map(placeIn).join(', ')} names cannot be used; acceptctl tls list says why`
  if (first === undefined) {
    if (errors.length === 0) return []
    return [{ name: 'certificates', state: 'failed', detail: `${unusable}; listeners with TLS refuse all clients` }]
  }
  const value = Math.round((first.facts.expires - Date.now()) / 1000)
  const end = value > 0 ? 'is good until' : 'expired at'
  const until = `the certificate of control/tls:${first.files.line} ${end} ${new Date(first.facts.expires).toISOString()}`
  const detail = errors.length === 0 ? until : `${unusable}; ${until}`
  const failed = value <= 0 || errors.length > 0
  const state = failed ? 'failed' : value < RENEWED_SECONDS ? 'warning' : 'ok'
  return [{ name: 'certificates', state, detail, value }]
}

function descriptorsCheck({ options: { descriptorLimit: limit } }: Runtime): HealthCheck {
  const value = openDescriptors()
  const share = value / limit
  const state = share > 0.9 ? 'failed' : share > 0.75 ? 'warning' : 'ok'
  return { name: 'descriptors', state, detail: `${value} of ${limit} descriptors are open`, value, limit }
}

function lanesCheck(measured: readonly Measured[]): HealthCheck {
  const value = Math.max(0, ...measured.map(({ measure }) => measure?.lagSeconds ?? 0))
  const silent = measured.filter(({ measure }) => measure === undefined).length
  const slowest = `the slowest turn of a lane in the last second was ${Math.round(value * 1000)} ms late`
  return {
    name: 'lanes',
    state: silent > 0 ? 'failed' : value > 0.25 ? 'warning' : 'ok',
    detail: silent > 0 ? `${silent} lanes do not answer` : slowest,
    value,
  }
}

function filesCheck(runtime: Runtime): HealthCheck {
  const value = drift(runtime)
  const { current, lastError } = runtime.publishing
  const wrong = lastError === undefined ? '' : `; the last change was refused for ${placeIn(lastError.errors[0])}`
  const differs = `${value} control files differ from what is loaded, generation ${current.generation}${wrong}`
  return {
    name: 'files',
    state: value > 0 ? 'warning' : 'ok',
    detail: value > 0 ? differs : 'the control files are what is loaded',
    value,
  }
}

/** What stands there is for control.sock. */
const placeIn = (error: ConfigError | undefined): string =>
  error === undefined ? 'no place in a file' : `${error.file}:${error.line}:${error.column}`

function stateCheck(runtime: Runtime): HealthCheck {
  const trouble = runtime.notSaved()
  const { state } = runtime.options
  if (trouble === undefined) return { name: 'state', state: 'ok', detail: `what acceptd was told is kept in ${state}` }
  return { name: 'state', state: 'failed', detail: `what acceptd was told is forgotten at its end: ${trouble}` }
}
