// Counts of limits over the hosts: what has changed here goes to the engine, and from there to the others; limits/sharing.ts has the rules.
//
//   PREFIX:count:w+user+messages+60+ann   hash: host -> time, reserved, newest part, counts by part
//   PREFIX:ban:guesses+192.0.2.1          ends by itself

import { monotonic } from '../edge/clock.ts'
import { ownCount } from '../limits/limiter.ts'
import { adoptCount, hearNews } from '../limits/news.ts'
import {
  answered,
  giveBack,
  heard,
  type News,
  outgoing,
  parseTold,
  type Told,
  type Written,
} from '../limits/sharing.ts'
import { isRefusal, reasonOf } from './engine.ts'
import { setClock } from './hosts.ts'
import { decode, encode, isJoined, namesOf, type State, stand } from './state.ts'

export const TICK_MILLISECONDS = 50
/** Of one exchange: the engine does nothing else meanwhile. */
const MOST_WRITTEN = 256
/** Sessions at the same time are written again so often, and forgotten after three times as much. */
export const REFRESH_MILLISECONDS = 60_000

const livesFor = (seconds: number): number => (seconds === 0 ? 3 * REFRESH_MILLISECONDS : seconds * 1200 + 60_000)

/** What has changed is told, at most so often. */
export function tick(state: State): void {
  state.sharing.now = state.parts.now()
  giveBack(state.sharing)
  exchange(state)
}

export function exchange(state: State): void {
  const { parts, config, sharing, instance } = state
  if (state.isExchanging || !isJoined(state)) return
  const now = parts.now()
  sharing.now = now
  const written = outgoing(sharing, ownCount(parts.limiter, now), MOST_WRITTEN)
  const news = sharing.news.splice(0)
  if (written.length === 0 && news.length === 0) return
  state.isExchanging = true
  const counts = written.map(({ share, value }) => [share.key, value])
  const message = sharing.hosts.size < 2 ? '' : JSON.stringify(['counts', config.name, instance, counts, news])
  void carry(state, written, news, message).then((isDone) => {
    state.isExchanging = false
    if (isDone && (sharing.urgent || written.length === MOST_WRITTEN)) setImmediate(exchange, state)
  })
}

async function carry(
  state: State,
  written: readonly Written[],
  news: readonly News[],
  message: string,
): Promise<boolean> {
  const { parts, config, engine, sharing } = state
  const { counts } = namesOf(config)
  const asked = monotonic()
  try {
    const { time, fields } = await engine.exchange(
      config.name,
      message,
      written.map(({ share, value }) => ({
        key: counts + encode(share.key),
        value,
        lives: livesFor(share.seconds),
      })),
    )
    setClock(state, time, monotonic() - asked)
    sharing.now = parts.now()
    for (const [i, one] of written.entries()) answered(sharing, one, toldBy(fields[i] ?? [], config.name))
    for (const one of news) await keepNews(state, one)
    return true
  } catch (error) {
    for (const one of written) answered(sharing, one, undefined)
    sharing.news.unshift(...news)
    if (isRefusal(error)) stand(state, 'wrong', reasonOf(error))
    return false
  }
}

/** Of the other hosts. */
function toldBy(fields: readonly string[], name: string): ReadonlyMap<string, Told> {
  const all = new Map<string, Told>()
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [host = '', value = ''] = [fields[i], fields[i + 1]]
    const told = host === name ? undefined : parseTold(value)
    if (told !== undefined) all.set(host, told)
  }
  return all
}

/** For hosts that come later. */
async function keepNews({ engine, config, parts }: State, news: News): Promise<void> {
  const { bans } = namesOf(config)
  if ('ban' in news) await engine.set(bans + encode(`${news.ban} ${news.subject}`), '', news.seconds * 1000)
  else if ('forgive' in news && news.subject === undefined) await engine.scan(bans, engine.remove)
  else if ('forgive' in news) {
    const banning = parts.limiter.limits.limits.filter(({ what }) => what === 'failed-logins')
    await engine.remove(banning.map(({ name }) => bans + encode(`${name} ${news.subject}`)))
  }
}

/** Another host has told. */
export function hearCounts({ parts, sharing }: State, host: string, counts: unknown, news: unknown): void {
  sharing.now = parts.now()
  for (const one of Array.isArray(counts) ? (counts as readonly unknown[]) : []) {
    const [key, value] = Array.isArray(one) ? (one as readonly unknown[]) : []
    const told = typeof value === 'string' ? parseTold(value) : undefined
    if (typeof key === 'string' && told !== undefined) heard(sharing, key, host, told)
  }
  for (const one of Array.isArray(news) ? (news as readonly unknown[]) : [])
    if (typeof one === 'object' && one !== null) hearNews(parts.limiter, one as News, parts.now())
}

/** What the engine knows: after a start, or after this host has not heard the others for a while. */
export async function loadCounts(state: State): Promise<void> {
  const { engine, config, sharing, parts } = state
  const { counts, bans } = namesOf(config)
  for (const share of sharing.shares.values()) {
    share.written = undefined
    sharing.changed.add(share)
  }
  await engine.scan(counts, async (keys) => {
    const all = await engine.all(keys)
    sharing.now = parts.now()
    for (const [i, key] of keys.entries()) loadCount(state, decode(key.slice(counts.length)), all[i] ?? {})
  })
  await engine.scan(bans, async (keys) => {
    const lives = await engine.lives(keys)
    keys.forEach((key, i) => {
      const [ban = '', ...subject] = decode(key.slice(bans.length)).split(' ')
      const seconds = (lives[i] ?? 0) / 1000
      if (seconds > 0) hearNews(parts.limiter, { ban, subject: subject.join(' '), seconds }, parts.now())
    })
  })
}

function loadCount({ config, sharing, parts }: State, key: string, all: Readonly<Record<string, string>>): void {
  for (const [host, value] of Object.entries(all)) {
    const told = parseTold(value)
    if (told === undefined) continue
    if (host !== config.name) heard(sharing, key, host, told)
    else adoptCount(parts.limiter, key, told, parts.now())
  }
  const share = sharing.shares.get(key)
  // What this host wrote last is no longer so.
  if (share !== undefined && all[config.name] !== undefined) share.written = ''
}

/** Sessions at the same time are forgotten by the engine unless they are told again. */
export function refresh({ sharing }: State): void {
  for (const share of sharing.shares.values()) {
    if (share.seconds !== 0 || share.written === undefined) continue
    share.written = ''
    sharing.changed.add(share)
  }
}
