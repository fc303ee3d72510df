// session.trace: the conversation of sessions that run or are to come, as notifications.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { TraceLine } from '../../contract/daemon.ts'
import type { SessionFilter } from '../../contract/pages.ts'
import { EVENT_FIELDS } from '../../contract/session-view.ts'
import { type Call, method } from '../row.ts'
import { count, filter, time, ttl } from '../schema.ts'
import { wireSession } from '../session-schema.ts'
import { type EventText, eventText, type StreamParams } from '../streams.ts'
import { filterOf, timeOf } from '../wire.ts'
import { filterProblem, noStream } from './sessions.ts'

export const traceMethods = {
  'session.trace': method({
    sentence:
      'Streams the verbs and replies of the sessions that match, running ones and those to come, without credentials and bodies.',
    params: z.strictObject({
      ...filter,
      onlyNew: z.boolean().default(false).describe('Only sessions that are accepted from now on.'),
      onlyOne: z.boolean().default(false).describe('Only the first session that says something; it ends with it.'),
      terse: z.boolean().default(false).describe('Only verbs and codes, as the client says and hears them.'),
      ttl: ttl.unwrap().max(3600).default(60).describe('Seconds after which it ends.'),
      lines: z.int().min(1).max(100_000).default(1000).describe('Lines after which it ends.'),
    }),
    result: z.object({
      subscription: z.string(),
      ends: time,
      matched: count.describe('Sessions that match already.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { user: 'alice', ttl: 30 },
      result: { subscription: 'e1', ends: '2026-11-22T09:00:30.000Z', matched: 1 },
    },
    cli: { args: ['id'], stream: true },
    run: async (call, params) => {
      const { daemon, context, client } = call
      const of = filterOf(params)
      const problem = filterProblem(of)
      if (problem) return err(problem)
      const stops: (() => void)[] = []
      const stream = client.open(() => {
        for (const stop of stops) stop()
        context.overrides.forget('session.trace', stream?.id ?? '')
      })
      if (!stream) return err(noStream)
      const now = Date.now()
      const matched = params.onlyNew ? 0 : await matching(call, of, now)
      const teller = newTeller(params, client.level === 'control')
      const { ends } = context.overrides.add({
        method: 'session.trace',
        subject: stream.id,
        ttl: params.ttl,
        reason: undefined,
        end: () => stream.end(ending('ttl')),
      })
      const stop = await daemon.sessions.trace({ filter: of, ...(params.onlyNew && { since: now }) }, (line) => {
        if (teller.left === 0) return
        const told = toldOf(teller, line)
        if (told !== undefined) stream.push(told)
        if (teller.left === 0) stream.end(ending('lines'))
      })
      if (client.has(stream.id)) stops.push(stop)
      else stop()
      if (params.onlyOne)
        stops.push(
          daemon.events.subscribe(({ topic, name, session }) => {
            if (topic === 'session' && name === 'ended' && session !== undefined && session.id === teller.one)
              stream.end(ending('session'))
          }),
        )
      return ok({ subscription: stream.id, ends: timeOf(ends), matched })
    },
  }),
}

async function matching({ daemon }: Call, of: SessionFilter, now: number): Promise<number> {
  return (await daemon.sessions.query({ filter: of, sort: 'id', descending: false, limit: 1, now })).matched
}

/** What a trace has told so far. */
interface Teller {
  readonly onlyOne: boolean
  readonly terse: boolean
  /** Texts are for control.sock. */
  readonly withTexts: boolean
  left: number
  /** The session that spoke first. */
  one: string | undefined
  /** When a session's last line was, by its id; the sessions of the last lines only. */
  readonly last: Map<string, number>
}

const newTeller = (
  { onlyOne, terse, lines }: { onlyOne: boolean; terse: boolean; lines: number },
  withTexts: boolean,
): Teller => ({ onlyOne, terse, withTexts, left: lines, one: undefined, last: new Map() })

/** Sessions whose last line is remembered. */
const REMEMBERED = 10_000

function toldOf(teller: Teller, { at, from, verb, text, ...identity }: TraceLine): EventText | undefined {
  const { id } = identity
  teller.one ??= id
  if (teller.onlyOne && id !== teller.one) return undefined
  if (teller.terse && (from === 'to-backend' || from === 'backend') && identity.protocol === 'smtp') return undefined
  const before = teller.last.get(id) ?? at
  // Delete before re-inserting, so that Map order stays oldest first.
  teller.last.delete(id)
  teller.last.set(id, at)
  if (teller.last.size > REMEMBERED) for (const oldest of teller.last.keys()) if (teller.last.delete(oldest)) break
  teller.left--
  const data: StreamParams = {
    verb,
    milliseconds: Math.max(0, at - before),
    ...(text !== undefined && teller.withTexts && !teller.terse && { text }),
  }
  const session = wireSession(EVENT_FIELDS, identity, 'status', at)
  return eventText({ at: timeOf(at), topic: 'trace', name: from, session, data })
}

const ending = (why: string): EventText =>
  eventText({ at: timeOf(Date.now()), topic: 'trace', name: 'ended', data: { why } })
