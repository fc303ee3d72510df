// Everything the bench knows about starting acceptd.
import { existsSync } from 'node:fs'
import { type Bed, program } from './bed.ts'
import type { Side } from './side.ts'

export const oursSide = (_bed: Bed): Side => ({
  name: 'acceptd',
  what: 'acceptd with rules, logs and metrics on, without TLS; messages discarded by the same backend',
  absent: () => (existsSync(program('acceptd')) ? undefined : 'dist/programs/acceptd is not built (npm run build)'),
  start: () => Promise.reject(new Error('acceptd cannot be started by the bench yet')),
})
