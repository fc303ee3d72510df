// How the runtime and its host are: checks, each a sentence for people. They are made by trying: a client for each listener, a question to
// the helper; at most once a second, however many ask.

import { join } from 'node:path'
import { helperFileTrouble, programTroubles, runTrouble, sendersTrouble } from '../../config/host.ts'
import type { HealthCheck } from '../../contract/daemon.ts'
import { monotonic } from '../../edge/clock.ts'
import { isThere } from '../../edge/control-files.ts'
import { isPrivileged } from '../../edge/helper.ts'
import { helperTrouble, listenerTrouble } from '../../edge/looking.ts'
import { openDescriptors } from '../../edge/sizing.ts'
import type { ConfigError } from '../../protocol/errors.ts'
import type { Runtime } from '../runtime.ts'
import { drift } from './config.ts'
import { type Measured, measureLanes } from './server.ts'

/** Each is a client, and a process of the helper's. */
const FRESH_MILLISECONDS = 1000

interface Tried {
  readonly at: number
  readonly checks: Promise<readonly HealthCheck[]>
}

const lastTried = new WeakMap<Runtime, Tried>()

/** What had to be tried, now or a moment ago. */
function triedOf(runtime: Runtime): Promise<readonly HealthCheck[]> {
  const last = lastTried.get(runtime)
  if (last !== undefined && monotonic() - last.at < FRESH_MILLISECONDS) return last.checks
  const checks = Promise.all([helperCheck(runtime), listenersCheck(runtime)])
  lastTried.set(runtime, { at: monotonic(), checks })
  return checks
}

export async function healthOf(runtime: Runtime): Promise<readonly HealthCheck[]> {
  const [measured, tried] = await Promise.all([measureLanes(runtime, 2), triedOf(runtime)])
  return [
    ...tried,
    programsCheck(runtime),
    ...runCheck(runtime),
    ...sendersCheck(runtime),
    ...certificatesCheck(runtime),
    descriptorsCheck(runtime),
    lanesCheck(measured),
    filesCheck(runtime),
    stateCheck(runtime),
    ...socketsCheck(runtime),
    ...fleetCheck(runtime),
    ...upgradeCheck(runtime),
  ]
}

/** Nothing where there is no fleet. */
function fleetCheck({ fleet }: Runtime): readonly HealthCheck[] {
  const found = fleet.state()
  if (found === undefined) return []
  const { state, engine, hosts, milliseconds, message, losses } = found
  const value = hosts.filter(({ here }) => here).length
  const away = hosts.filter(({ here }) => !here).map(({ name }) => name)
  if (state !== 'together') {
    const why = message === undefined ? '' : ` (${message})`
    const detail = `${engine} is ${state}${why}: this host limits by itself, by what it heard last`
    return [{ name: 'fleet', state: state === 'joining' && losses === 0 ? 'ok' : 'warning', detail, value }]
  }
  const mine = hosts.find(({ name }) => name === found.name)
  const unlike = hosts.filter(({ here, common }) => here && common !== mine?.common).map(({ name }) => name)
  const others = [
    ...(away.length === 0 ? [] : [`; away: ${away.join(', ')}`]),
    ...(unlike.length === 0 ? [] : [`; with another configuration: ${unlike.join(', ')}`]),
  ].join('')
  const detail = `${value} hosts share limits through ${engine}, which answers in ${milliseconds.toFixed(1)} ms${others}`
  return [{ name: 'fleet', state: away.length === 0 ? 'ok' : 'warning', detail, value }]
}

/** The last upgrade, if it has failed; what is left of those before. */
function upgradeCheck({ succession }: Runtime): readonly HealthCheck[] {
  const failed = succession.lastFailure()
  const value = succession.formers().processes
  const what = value === 1 ? 'the former runtime finishes its' : `${value} former runtimes finish their`
  const left = value === 0 ? '' : `${what} sessions`
  if (failed === undefined) return left === '' ? [] : [{ name: 'upgrade', state: 'ok', detail: left, value }]
  const when = new Date(failed.at).toISOString()
  const detail = `the upgrade of ${when} failed: ${failed.message}${left === '' ? '' : `; ${left}`}`
  return [{ name: 'upgrade', state: 'warning', detail, value }]
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

async function helperCheck(runtime: Runtime): Promise<HealthCheck> {
  const { helper, run } = runtime.options
  const check = (state: HealthCheck['state'], detail: string): HealthCheck => ({ name: 'helper', state, detail })
  const file = helperFileTrouble(helper.mode, { root: helper.root, run, helper: helper.program })
  if (!('socket' in helper.place)) {
    if (file !== undefined) return check('failed', `${file}; logins get 454`)
  } else {
    const { socket } = helper.place
    const trouble = await helperTrouble(socket)
    if (trouble !== undefined)
      return check('failed', `accept-helper does not answer on its socket ${socket}: ${trouble}; logins get 454`)
    if (file !== undefined) return check('warning', `accept-helper answers, but cannot be started again: ${file}`)
  }
  if (isPrivileged(helper)) return check('ok', 'accept-helper answers, with the rights of root')
  if (helper.mode === 'unit')
    return check(
      'warning',
      "the socket of accept-helper is not root's: it runs every chain as the user that started it",
    )
  if (helper.root) return check('failed', 'accept-helper has no rights of root, and cannot become the user who logs in')
  return check('warning', 'accept-helper runs every chain as the account of acceptd')
}

/** Connects to each as a client, which the lane that takes it knows and neither counts nor logs. */
async function listenersCheck(runtime: Runtime): Promise<HealthCheck> {
  const { listeners } = runtime.current().config
  const paused = runtime.paused()
  const troubles = await Promise.all(
    listeners.map(async ({ name, address }, i) => {
      const port = runtime.options.ports[i] ?? 0
      if (paused[i] === 'hold') return undefined
      const trouble = await listenerTrouble(address, port, (from) => runtime.probing(i, from))
      return trouble && `${name} at ${address}:${port} takes no clients: ${trouble}`
    }),
  )
  const failed = troubles.flatMap((one) => one ?? [])
  const waiting = listeners.filter((_one, i) => paused[i] !== undefined).map(({ name }) => name)
  const name = 'listeners'
  if (failed.length > 0) return { name, state: 'failed', detail: failed.join('; '), value: failed.length }
  if (waiting.length > 0) return { name, state: 'warning', detail: `paused: ${waiting.join(', ')}` }
  return { name, state: 'ok', detail: `all take clients: ${listeners.map((one) => one.name).join(', ')}` }
}

function programsCheck(runtime: Runtime): HealthCheck {
  const troubles = programTroubles(runtime.current().config)
  const detail = troubles.length === 0 ? 'the programs of control/chains are there' : troubles.join('; ')
  return { name: 'programs', state: troubles.length === 0 ? 'ok' : 'failed', detail }
}

/** Nothing where all is well. */
function runCheck({ options: { run, helper } }: Runtime): readonly HealthCheck[] {
  const detail = runTrouble({ root: helper.root, run, helper: helper.program })
  return detail === undefined ? [] : [{ name: 'run', state: 'warning', detail }]
}

/** Nothing where all is well. */
function sendersCheck(runtime: Runtime): readonly HealthCheck[] {
  const trouble = sendersTrouble(runtime.current().config)
  return trouble === undefined ? [] : [{ name: 'senders', state: 'failed', detail: `${trouble}; MAIL gets 451` }]
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

/** The text of a file is for control.sock. */
const placeIn = (error: ConfigError | undefined): string =>
  error === undefined ? 'no place in a file' : `${error.file}:${error.line}:${error.column}`

function stateCheck(runtime: Runtime): HealthCheck {
  const trouble = runtime.notSaved()
  const { state } = runtime.options
  if (trouble === undefined) return { name: 'state', state: 'ok', detail: `what acceptd was told is kept in ${state}` }
  return { name: 'state', state: 'failed', detail: `what acceptd was told is forgotten at its end: ${trouble}` }
}
