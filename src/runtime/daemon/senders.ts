// The control plane's view of control/senders.

import { sendersFor } from '../../config/senders.ts'
import type { Daemon } from '../../contract/daemon.ts'
import { maySend } from '../../protocol/senders.ts'
import type { Runtime } from '../runtime.ts'

export const sendersOf = (runtime: Runtime): Daemon['senders'] => ({
  evaluate(user, sender) {
    const found = sendersFor(runtime.current().config.senders, user)
    const asked =
      sender === undefined ? {} : { allowed: found === undefined || maySend(found.senders, `FROM:<${sender}>`) }
    if (found === undefined) return { bound: false, senders: [], ...asked }
    const { line, senders } = found
    return { bound: true, ...(line === undefined ? {} : { line }), senders, ...asked }
  },
})
