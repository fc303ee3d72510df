// The control plane's view of control/access.

import { accessFor } from '../../config/access.ts'
import type { Daemon } from '../../contract/daemon.ts'
import type { Runtime } from '../runtime.ts'

export const accessOf = (runtime: Runtime): Daemon['access'] => ({
  evaluate(ip) {
    const rule = accessFor(runtime.current().config.access, ip)
    if (rule === undefined) return { allowed: true, variables: [] }
    return { allowed: rule.allow, line: rule.line, rule: rule.text, variables: rule.variables }
  },
})
