// The control plane's view of control/certusers.

import { usersNamed } from '../../config/certusers.ts'
import type { Daemon } from '../../contract/daemon.ts'
import type { Runtime } from '../runtime.ts'

export const certusersOf = (runtime: Runtime): Daemon['certusers'] => ({
  evaluate: (name) => usersNamed(runtime.current().config.certUsers, [name]).map(({ user, line }) => ({ user, line })),
})
