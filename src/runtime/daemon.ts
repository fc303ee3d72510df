// The control plane's view of the runtime: each noun of contract/daemon.ts is a file of daemon/.

import { ok } from 'neverthrow'
import type { Daemon } from '../contract/daemon.ts'
import { notFound } from '../contract/failure.ts'
import { isLogComponent, LOG_COMPONENTS, levelOf } from '../contract/log.ts'
import { accessOf } from './daemon/access.ts'
import { certusersOf } from './daemon/certusers.ts'
import { configOf } from './daemon/config.ts'
import { backendsOf, lanesOf, listenersOf } from './daemon/lanes.ts'
import { limitsOf } from './daemon/limits.ts'
import { rulesOf } from './daemon/rules.ts'
import { sendersOf } from './daemon/senders.ts'
import { serverOf } from './daemon/server.ts'
import { sessionsOf } from './daemon/sessions.ts'
import { tlsOf } from './daemon/tls.ts'
import { authOf, usersOf } from './daemon/users.ts'
import type { Runtime } from './runtime.ts'

export function createDaemon(runtime: Runtime, version: string, stop: (grace: number) => void): Daemon {
  return {
    server: serverOf(runtime, version, stop),
    listeners: listenersOf(runtime),
    config: configOf(runtime),
    rules: rulesOf(runtime),
    sessions: sessionsOf(runtime),
    tls: tlsOf(runtime),
    access: accessOf(runtime),
    senders: sendersOf(runtime),
    certusers: certusersOf(runtime),
    limits: limitsOf(runtime),
    fleet: runtime.fleet,
    users: usersOf(runtime),
    auth: authOf(runtime),
    lanes: lanesOf(runtime),
    backends: backendsOf(runtime),
    log: logOf(runtime),
    overrides: { kept: () => runtime.overrides(), keep: (overrides) => runtime.keep(overrides) },
    saved: () => runtime.saved(),
    isHanding: () => runtime.succession.isHanding(),
    events: {
      subscribe: (listener) => runtime.onEvent(listener),
      after: (seq, most) => runtime.eventsAfter(seq, most),
      last: () => runtime.lastEvent(),
      tell: (event) => runtime.emit(event),
    },
    bug: (where, error) =>
      runtime.log('error', 'bug', { where, stack: error instanceof Error ? error.stack : String(error) }),
  }
}

const logOf = (runtime: Runtime): Daemon['log'] => ({
  levels: () => Object.fromEntries(LOG_COMPONENTS.map((one) => [one, levelOf(runtime.levels(), one)])),
  errors: () => runtime.errors(),
  async set(component, level) {
    if (!isLogComponent(component))
      return notFound('no-such-component', `there is no component ${component}; there are ${LOG_COMPONENTS.join(', ')}`)
    const previous = levelOf(runtime.levels(), component)
    return ok({ previous, set: await runtime.setLevel(component, level) })
  },
})
