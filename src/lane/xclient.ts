// XCLIENT of a client that may say it: the client it speaks for is the session's client from then on, if control/access and control/limits let
// that one in.

import { TAG } from '../actors/frames.ts'
import { accessFor } from '../config/access.ts'
import { accessRulesOf } from '../config/config.ts'
import { never, notNow } from '../protocol/dialogue.ts'
import type { ProxiedClient } from '../protocol/xclient.ts'
import type { Refusal } from '../session/door.ts'
import type { ClientSession } from '../session/session.ts'
import { askDoor } from './limits.ts'
import type { Lane } from './state.ts'
import { follow } from './tracing.ts'

export function describe(lane: Lane, session: ClientSession, client: ProxiedClient): void {
  const { config, asks } = lane.generations.published()
  const peer = { ip: client.ip ?? session.ip, port: client.port ?? session.port }
  const host = client.name ?? ''
  const rule = accessFor(accessRulesOf(config, session.settings.listener), peer.ip, host)
  if (rule !== undefined) lane.generations.count(rule.key)
  if (rule?.allow === false) {
    turnAway(lane, session, peer.ip, { refused: 'access denied', forGood: true })
    return
  }
  const goOn = () => {
    const before = { ip: session.ip, port: session.port }
    const { local } = session
    const at = () => {
      const { ip, port } = local()
      return { ip: client.localIp ?? ip, port: client.localPort ?? port }
    }
    session.becomes({
      peer,
      local: at,
      proxy: session.proxy ?? before,
      host,
      info: '',
      variables: rule?.variables ?? [],
    })
    lane.reporter.renamed(session)
    lane.reporter.logOf(session, 'info', 'xclient', { by: before.ip })
    if (lane.traces.length > 0) follow(lane, session)
    lane.stages.post(session, [TAG.described, session.id])
  }
  lane.limits.tell(['ended', session.id])
  if (!asks.door) {
    goOn()
    return
  }
  askDoor(lane, session.id, peer.ip, session.settings.listener, (refusal) => {
    if (session.streams.closing) lane.limits.tell(['ended', session.id])
    else if (refusal === undefined) goOn()
    else turnAway(lane, session, peer.ip, refusal)
  })
}

function turnAway(lane: Lane, session: ClientSession, ip: string, refusal: Refusal): void {
  const { refused: why, status = '4.3.2', limit, forGood } = refusal
  const { dialogue, listener } = session.settings
  lane.counters.refusedBecause(listener, limit === undefined ? why : `limit ${limit}`)
  lane.reporter.log('warn', 'session-refused', { ip, listener, why, limit })
  session.perform({ do: 'reply', text: forGood ? never(dialogue, '5.7.1', why) : notNow(dialogue, status, why) })
  session.close(limit === undefined ? 'access-denied' : 'limited')
}
