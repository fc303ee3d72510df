// The session's view (contract/session-view.ts) as schemas and as JSON.

import { z } from 'zod'
import {
  DETAIL_FIELDS,
  EVENT_FIELDS,
  LIST_FIELDS,
  PROTOCOLS,
  type Row,
  SESSION_STATES,
  SESSION_VIEW,
  type SessionField,
} from '../contract/session-view.ts'
import type { Shape, Wire } from '../contract/shape.ts'
import type { Level } from './row.ts'
import { count, id, list, protocol, seconds, sessionState, time } from './schema.ts'
import { timeOf } from './wire.ts'

/** Those that have a schema of their own. */
const WORDS: ReadonlyMap<readonly string[], z.ZodType> = new Map<readonly string[], z.ZodType>([
  [PROTOCOLS, protocol],
  [SESSION_STATES, sessionState],
])

export function schemaOf(shape: Shape): z.ZodType {
  switch (shape.is) {
    case 'id':
      return id
    case 'text':
      return z.string()
    case 'count':
      return count
    case 'time':
      return time
    case 'since':
      return seconds
    case 'one-of':
      return WORDS.get(shape.values) ?? z.enum(shape.values)
    case 'optional':
      return schemaOf(shape.of).optional()
    case 'list':
      return list(schemaOf(shape.of))
    case 'record':
      return z.object(Object.fromEntries(Object.entries(shape.members).map(([name, of]) => [name, schemaOf(of)])))
  }
}

type SchemaOf<S> = S extends { is: 'optional'; of: infer O }
  ? z.ZodOptional<z.ZodType<Wire<O>, Wire<O>>>
  : z.ZodType<Wire<S>, Wire<S>>
type Schemas<F extends SessionField> = { readonly [N in F]: SchemaOf<(typeof SESSION_VIEW)[N]['shape']> }

const objectOf = <F extends SessionField>(fields: readonly F[]) =>
  z.object(Object.fromEntries(fields.map((field) => [field, schemaOf(SESSION_VIEW[field].shape)])) as Schemas<F>)

/** With `fields` a member that was not asked for is left out. */
export const sessionSummary = objectOf(LIST_FIELDS).partial().required({ id: true }).meta({ title: 'Session' })
export const sessionDetail = objectOf(DETAIL_FIELDS).meta({ title: 'SessionDetail' })
/** What an event or a trace says about its session. */
export const sessionIdentity = objectOf(EVENT_FIELDS).meta({ title: 'SessionIdentity' })

function wire(shape: Shape, value: unknown, now: number): unknown {
  switch (shape.is) {
    case 'time':
      return timeOf(value as number)
    case 'since':
      return Math.max(0, now - (value as number)) / 1000
    case 'optional':
      return wire(shape.of, value, now)
    case 'list':
      return (value as readonly unknown[]).map((entry) => wire(shape.of, entry, now))
    case 'record':
      return wireMembers(Object.entries(shape.members), value, now)
    case 'id':
    case 'text':
    case 'count':
    case 'one-of':
      return value
  }
}

function wireMembers(
  members: Iterable<readonly [string, Shape]>,
  value: unknown,
  now: number,
): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, shape] of members) {
    const member = (value as Readonly<Record<string, unknown>>)[name]
    if (member !== undefined) shown[name] = wire(shape, member, now)
  }
  return shown
}

/** Row by row: a session that has more never shows more, and a caller sees what its socket may see. */
export function wireSession<F extends SessionField>(
  fields: readonly F[],
  value: { readonly [N in F]?: unknown },
  level: Level,
  now: number,
  rows: Readonly<Record<F, Row>> = SESSION_VIEW,
): { [N in F]: Wire<(typeof SESSION_VIEW)[N]['shape']> } {
  const seen = fields.filter((field) => level === 'control' || rows[field].seenBy === 'status')
  return wireMembers(
    seen.map((field) => [field, rows[field].shape] as const),
    value,
    now,
  ) as never
}
