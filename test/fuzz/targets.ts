// Every target in TypeScript: a row here is one of npm run fuzz, and its corpus is run by npm test.
import type { Target } from './target.ts'
import { classicTargets } from './targets/classic.ts'
import { configurationTargets } from './targets/configuration.ts'
import { controlPlaneTargets } from './targets/control-plane.ts'
import { conversationTargets } from './targets/conversations.ts'
import { fleetTargets } from './targets/fleet.ts'
import { proxyTargets } from './targets/proxies.ts'
import { streamTargets } from './targets/streams.ts'
import { valueTargets } from './targets/values.ts'

export const targets: readonly Target[] = [
  ...conversationTargets,
  ...streamTargets,
  ...proxyTargets,
  ...valueTargets,
  ...configurationTargets,
  ...controlPlaneTargets,
  ...fleetTargets,
  ...classicTargets,
]
