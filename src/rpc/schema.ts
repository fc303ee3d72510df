// Pieces that parameters and results are made of.
import { z } from 'zod'
import { CHANGED_BY } from '../contract/configuration.ts'
import { TOPICS } from '../contract/events.ts'
import { PROTOCOLS, SESSION_STATES } from '../contract/session-view.ts'
import { octetGlob, octets } from './octets.ts'

/** RFC 3339, UTC, milliseconds. */
export const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time', title: 'Time' })
/** Of a parameter: RFC 3339, in any zone. */
export const moment = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/)
  .refine((text) => !Number.isNaN(Date.parse(text)), 'there is no such day or hour')
  .meta({ format: 'date-time', title: 'Moment' })
/** Of a listener, a chain, a component. */
export const name = octets(1, 255).meta({ title: 'Name' })
/** As long as checkpassword(8) takes it. */
export const userName = octets(1, 512).meta({ title: 'UserName' })
export const userGlob = octetGlob(512).meta({ title: 'UserGlob' })
export const ends = time.optional().describe('When it ends by itself.')
export const count = z.int().nonnegative().meta({ title: 'Count' })
export const seconds = z.number().nonnegative().meta({ title: 'Seconds' })
export const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ title: 'Sha256' })
export const id = z.string().min(1).max(100).meta({ title: 'Id' })

/** A list as results hold it. */
export function list<T extends z.ZodType>(of: T): z.ZodReadonly<z.ZodArray<T>> {
  return z.array(of).readonly()
}

export const protocol = z.enum(PROTOCOLS).meta({ title: 'Protocol' })
export const sessionState = z.enum(SESSION_STATES).meta({ title: 'SessionState' })
export const logLevel = z.enum(['error', 'warn', 'info', 'debug']).meta({ title: 'LogLevel' })
export const pauseMode = z.enum(['421', 'hold']).meta({ title: 'PauseMode' })
export const apply = z
  .enum(['new-sessions', 'next-transaction'])
  .meta({ title: 'Apply' })
  .default('new-sessions')
  .describe('Which sessions get it: new ones only, or running ones too, at their next transaction.')
export const changedBy = z.enum(CHANGED_BY).meta({ title: 'ChangedBy' })
export const topic = z.enum(TOPICS).meta({ title: 'Topic' })

export const dryRun = z
  .boolean()
  .default(false)
  .describe('Report what would happen and change nothing.')
  .meta({ title: 'DryRun' })
export const reason = octets(1, 500)
  .exactOptional()
  .describe('The reason, for the log and for later queries.')
  .meta({ title: 'Reason' })
/** At most a week, which a timer can hold. */
export const ttl = z
  .number()
  .positive()
  .max(604_800)
  .exactOptional()
  .describe('Seconds after which it ends by itself; op.list shows it until then.')
export const ifSha256 = sha256
  .exactOptional()
  .describe('Only if this is still the sha256 of the published configuration.')

export const filter = {
  id: id.exactOptional().describe('The session with this id.'),
  user: userGlob
    .exactOptional()
    .describe('Users that match this glob (* and ?; \\* and \\? are the characters themselves).'),
  ip: z.string().min(2).max(49).exactOptional().describe('Clients at this address or in this CIDR block.'),
  protocol: protocol.exactOptional().describe('Sessions of this protocol.'),
  state: sessionState.exactOptional().describe('Sessions in this state.'),
  listener: name.exactOptional().describe('Sessions accepted by this listener.'),
  lane: count.exactOptional().describe('Sessions in this lane.'),
  olderThan: seconds.exactOptional().describe('Sessions accepted at least so many seconds ago.'),
  generation: count.exactOptional().describe('Sessions that use this rule generation.'),
  tls: z.boolean().exactOptional().describe('Sessions with TLS (true) or without (false).'),
}
export const filterNames = [
  'id',
  'user',
  'ip',
  'protocol',
  'state',
  'listener',
  'lane',
  'olderThan',
  'generation',
  'tls',
] as const satisfies readonly (keyof typeof filter)[]

/** No line of the wire is longer. */
export const TEXT = 1024 * 1024

export const fileTexts = z
  .record(z.string().regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/), octets(0, TEXT))
  .exactOptional()
  .describe('Texts to use instead of the control files of these names; by default those on disk.')

export const configError = z
  .object({ file: z.string(), line: count, column: count, message: z.string(), hint: z.string() })
  .meta({ title: 'ConfigError' })

export const silentLanes = list(count).describe('Lanes that did not answer in time; their part is missing.')
