// The control plane's view of control/access.

import { accessFor } from '../../config/access.ts'
import { accessRulesOf } from '../../config/config.ts'
import type { Daemon } from '../../contract/daemon.ts'
import type { Runtime } from '../runtime.ts'

export const accessOf = (runtime: Runtime): Daemon['access'] => ({
  evaluate({ ip, host, info, listener }) {
    const rule = accessFor(accessRulesOf(runtime.current().config, listener), ip, host, info)
    if (rule === undefined) return { allowed: true, variables: [] }
    return { allowed: rule.allow, line: rule.line, rule: rule.text, variables: rule.variables }
  },
})
