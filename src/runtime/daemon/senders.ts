// The control plane's view of control/senders.

import { sendersFor } from '../../config/senders.ts'
import type { Daemon } from '../../contract/daemon.ts'
import { maySend } from '../../protocol/senders.ts'
import type { Runtime } from '../runtime.ts'

export const sendersOf = (runtime: Runtime): Daemon['senders'] => ({
  evaluate(user, sender) {
    const found = sendersFor(runtime.current().config.senders, user)
    const senders = found === undefined || 'unknown' in found.senders ? [] : found.senders
    const asked = sender === undefined ? {} : { allowed: found === undefined || maySend(senders, `FROM:<${sender}>`) }
    if (found === undefined) return { bound: false, senders, ...asked }
    return {
      bound: true,
      ...(found.line === undefined ? {} : { line: found.line }),
      senders,
      ...asked,
      ...('unknown' in found.senders ? { trouble: found.senders.unknown } : {}),
    }
  },
})
