// START HERE: every method of the control plane. From these rows come dispatch and validation (dispatch.ts), rpc.discover (openrpc.ts),
// the subcommands of acceptctl with help and completion (commandline.ts), docs/rpc.md (document.ts) and a test per example.
//
// To add one: a row in a file of methods/, with all its columns; its name in MethodName below; what it needs of the runtime in daemon.ts;
// then `npm run build && UPDATE_DOCS=1 node --test dist/test/rpc/document.test.js` writes docs/rpc.md and the clients.
import { accessMethods } from './methods/access.ts'
import { certusersMethods } from './methods/certusers.ts'
import { configMethods } from './methods/config.ts'
import { explainMethods } from './methods/config-explain.ts'
import { generationMethods } from './methods/config-generations.ts'
import { eventMethods } from './methods/events.ts'
import { laneMethods } from './methods/lanes.ts'
import { limitMethods } from './methods/limits.ts'
import { listenerMethods } from './methods/listeners.ts'
import { logMethods } from './methods/log.ts'
import { rulesMethods } from './methods/rules.ts'
import { sendersMethods } from './methods/senders.ts'
import { serverMethods } from './methods/server.ts'
import { sessionMethods } from './methods/sessions.ts'
import { tlsMethods } from './methods/tls.ts'
import { traceMethods } from './methods/trace.ts'
import { userMethods } from './methods/users.ts'
import type { Method } from './row.ts'

export type MethodName =
  | 'rpc.discover'
  | `server.${'info' | 'ping' | 'whoami' | 'stats' | 'metrics' | 'health' | 'drain' | 'undrain' | 'upgrade' | 'stop'}`
  | `listener.${'list' | 'pause' | 'resume'}`
  | `config.${'get' | 'status' | 'check' | 'diff' | 'reload' | 'history' | 'rollback' | 'explain'}`
  | `rules.${'list' | 'eval'}`
  | `session.${'list' | 'get' | 'kill' | 'trace'}`
  | `tls.${'list' | 'reload'}`
  | 'access.eval'
  | 'senders.eval'
  | 'certusers.eval'
  | `limit.${'list' | 'eval' | 'set' | 'clear'}`
  | `penalty.${'list' | 'clear'}`
  | `user.${'list' | 'block' | 'unblock'}`
  | 'auth.test'
  | `lane.${'list' | 'recycle'}`
  | `backend.${'list' | 'probe'}`
  | `log.${'get' | 'set' | 'errors'}`
  | `event.${'subscribe' | 'unsubscribe'}`
  | `op.${'list' | 'cancel'}`

export const METHODS = {
  ...serverMethods,
  ...listenerMethods,
  ...configMethods,
  ...generationMethods,
  ...explainMethods,
  ...rulesMethods,
  ...sessionMethods,
  ...traceMethods,
  ...tlsMethods,
  ...accessMethods,
  ...sendersMethods,
  ...certusersMethods,
  ...limitMethods,
  ...userMethods,
  ...laneMethods,
  ...logMethods,
  ...eventMethods,
} satisfies Readonly<Record<MethodName, Method>>

/** The same, to look up a name that came from outside. */
export const METHOD_MAP: ReadonlyMap<string, Method> = new Map(Object.entries(METHODS))
