// The sessions of all hosts of a fleet as one list. Their ids begin with the name of their host: `mx1/1.2f`.

import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Daemon, RpcFailure, SessionAnswer } from '../contract/daemon.ts'
import { mergePages, type SessionFilter, type SessionQuery } from '../contract/pages.ts'
import { onFleet } from './on-fleet.ts'

/** What other hosts ask for. */
export const QUERY = 'session.query'

/** A question as querySessions asks it; what else is in it, lanes look at. */
export const ASKED_QUERY = z.custom<SessionQuery>(
  (query) =>
    z
      .looseObject({
        filter: z.looseObject({}),
        sort: z.string(),
        descending: z.boolean(),
        limit: z.number(),
        now: z.number(),
      })
      .safeParse(query).success,
)

const split = (id: string): readonly [host: string, id: string] => {
  const at = id.indexOf('/')
  return at < 0 ? ['', id] : [id.slice(0, at), id.slice(at + 1)]
}

/** A filter for `mx1/1.2f` is one for 1.2f on mx1, and for nothing on any other host. */
export function filterHere(daemon: Daemon, filter: SessionFilter): SessionFilter {
  const [host, id] = split(filter.id ?? '')
  return host !== '' && host === daemon.fleet.state()?.name ? { ...filter, id } : filter
}

/** Greater than any id. */
const LAST = '\uffff'

/** The same page of this host's own ids. */
function queryHere(daemon: Daemon, query: SessionQuery): SessionQuery {
  const { after, sort } = query
  const filter = filterHere(daemon, query.filter)
  if (after === undefined) return { ...query, filter }
  const [host, id] = split(after[1])
  const name = daemon.fleet.state()?.name ?? ''
  const place = name === host ? id : name > host ? '' : LAST
  return { ...query, filter, after: [sort === 'id' ? place : after[0], place] }
}

/** This host's part of it. */
export async function partHere(daemon: Daemon, query: SessionQuery): Promise<SessionAnswer> {
  const answer = await daemon.sessions.query(queryHere(daemon, query))
  const name = daemon.fleet.state()?.name ?? ''
  return { ...answer, sessions: answer.sessions.map((one) => ({ ...one, id: `${name}/${one.id}` })) }
}

export interface FleetSessions extends SessionAnswer {
  readonly silentHosts?: readonly string[]
}

export async function querySessions(
  daemon: Daemon,
  query: SessionQuery,
  everywhere: boolean,
): Promise<Result<FleetSessions, RpcFailure>> {
  if (!everywhere) return ok(await daemon.sessions.query(query))
  const question = { method: QUERY, params: query, fleet: true }
  const asked = await onFleet(daemon, question, async () => ok(await partHere(daemon, query)))
  if (asked.isErr()) return err(asked.error)
  const { mine, others } = asked.value
  const parts = (others?.answers ?? []).map(({ host, result }) => ({ host, part: result as SessionAnswer | undefined }))
  const told = parts.flatMap(({ part }) => (part === undefined ? [] : [part]))
  const all = [mine, ...told]
  return ok({
    sessions: mergePages(
      all.flatMap(({ sessions }) => sessions),
      query,
    ),
    matched: all.reduce((sum, { matched }) => sum + matched, 0),
    silentLanes: mine.silentLanes,
    silentHosts: [
      ...(others?.silentHosts ?? []),
      ...parts.flatMap(({ host, part }) => (part === undefined ? [host] : [])),
    ],
  })
}
