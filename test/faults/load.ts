// Clients: some stay and submit now and then, others connect, submit and quit. They record what they were told, and who disconnected them.
import { EventEmitter, once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { type Conversation, converse, converseOn, plain } from '../system/conversation.ts'
import { until } from '../system/processes.ts'
import type { TestUser } from '../system/users.ts'
import { type Journal, onTheWire } from './message.ts'
import type { Place, Target } from './place.ts'
import { type Random, randomOf } from './random.ts'

const LASTING = 4
const COMING = 5
const TICK_MILLISECONDS = 100
/** A reply that takes longer is a client that hangs. */
const PATIENCE = 20_000

export interface Load {
  readonly journal: Journal
  /** Logged-in sessions that ended without being asked to, and how. */
  readonly cuts: string[]
  /** What no client may see, whatever happens to the host. */
  readonly wrongs: string[]
  /** Clients that were told to try again later, or were not served, before their login. */
  readonly refusals: string[]
  /** Logged in and still connected. */
  readonly live: () => number
  /** Lets every client finish, and resolves when all have disconnected. */
  readonly stop: () => Promise<void>
}

export async function connectTo({ port, tls }: Target, timeout = PATIENCE): Promise<Conversation> {
  if (!tls) return converse(port, timeout)
  return converseOn(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }), 'secureConnect', timeout)
}

/** Takes the greeting, says EHLO and logs in as this user; returns the reply. */
export async function introduce(talk: Conversation, user: TestUser, password = user.password): Promise<string> {
  const greeting = await talk.reply()
  if (!greeting.startsWith('220')) return greeting
  await talk.say('EHLO client.example')
  return talk.say(`AUTH PLAIN ${plain(user.name, password)}`)
}

/** A server that has answered anything but what was expected. */
class Refused extends Error {}

async function expect(wanted: string, reply: Promise<string>): Promise<string> {
  const text = await reply
  if (!text.startsWith(wanted)) throw new Refused(text.trim())
  return text
}

export const submitted = async (talk: Conversation, id: string, lines: number, journal: Journal): Promise<void> => {
  await expect('250', talk.say('MAIL FROM:<me@example.org>'))
  await expect('250', talk.say('RCPT TO:<you@example.org>'))
  await expect('354', talk.say('DATA'))
  journal.fates.set(id, { lines, fate: 'sent' })
  talk.send(onTheWire(id, lines))
  const reply = await talk.say('.')
  if (reply.startsWith('250')) journal.fates.set(id, { lines, fate: 'acknowledged' })
  else if (!reply.startsWith('421')) journal.fates.set(id, { lines, fate: 'refused' })
  if (!reply.startsWith('250')) throw new Refused(reply.trim())
}

const failure = (error: unknown): string => (error instanceof Error ? error.message : String(error))

interface Ground {
  readonly load: Load
  readonly place: Place
  readonly name: string
  readonly ticks: EventEmitter
  readonly state: { over: boolean; live: number; messages: number }
}

/** Mostly short; some so long that the socket is full for a while. */
const linesFrom = (random: Random): number =>
  random.below(8) === 0 ? random.between(500, 4000) : random.between(1, 40)

async function messages(ground: Ground, random: Random, talk: Conversation, count: number): Promise<void> {
  const { load, state, ticks } = ground
  for (let n = 0; n < count && !state.over; n += 1) {
    state.messages += 1
    const lines = linesFrom(random)
    // What a mail program refuses, on a full disk for example, does not end the session.
    await submitted(talk, `${ground.name}.${state.messages}`, lines, load.journal).catch((error: unknown) => {
      if (!(error instanceof Refused) || error.message.startsWith('421')) throw error
      load.refusals.push(error.message)
      return expect('250', talk.say('RSET'))
    })
    for (let wait = random.below(4); wait > 0 && !state.over; wait -= 1) await once(ticks, 'tick')
  }
}

/** From the connection to QUIT. `count` is of messages. */
async function session(ground: Ground, random: Random, count: number): Promise<void> {
  const { load, place, state } = ground
  const target = random.pick(place.targets)
  const user = random.pick(place.people)
  let talk: Conversation | undefined
  let logged = false
  try {
    talk = await connectTo(target)
    const wrong = count < 4 && random.below(8) === 0
    const reply = await introduce(talk, user, wrong ? 'wrong' : user.password)
    if (wrong && reply.startsWith('235')) load.wrongs.push(`${target.chain} let in a wrong password: ${reply.trim()}`)
    if (!wrong && reply.startsWith('535')) load.wrongs.push(`${target.chain} refused a right password: ${reply.trim()}`)
    if (!reply.startsWith('235')) {
      if (!wrong) load.refusals.push(reply.trim())
      return
    }
    logged = true
    state.live += 1
    await messages(ground, random, talk, count)
    await expect('221', talk.say('QUIT'))
  } catch (error) {
    const what = `${target.chain}${target.tls ? ' by TLS' : ''}: ${failure(error)}`
    if (/no reply in/.test(what)) load.wrongs.push(what)
    else if (logged) load.cuts.push(what)
    else load.refusals.push(what)
  } finally {
    if (logged) state.live -= 1
    talk?.socket.destroy()
  }
}

/** `name` makes the names of its messages unique. */
export function startLoad(place: Place, name: string): Load {
  const state = { over: false, live: 0, messages: 0 }
  const ticks = new EventEmitter().setMaxListeners(0)
  const running = new Set<Promise<void>>()
  const kinds = { lasting: 0, coming: 0 }
  const load: Load = {
    journal: { fates: new Map() },
    cuts: [],
    wrongs: [],
    refusals: [],
    live: () => state.live,
    stop: async () => {
      state.over = true
      while (running.size > 0) await Promise.all(running)
      clearInterval(clock)
    },
  }
  const ground: Ground = { load, place, name, ticks, state }
  let clients = 0
  const begin = (kind: keyof typeof kinds, messagesEach: number): void => {
    kinds[kind] += 1
    clients += 1
    const one = session(ground, randomOf(name, clients), messagesEach).finally(() => {
      kinds[kind] -= 1
      running.delete(one)
    })
    running.add(one)
  }
  const clock = setInterval(() => {
    ticks.emit('tick')
    if (state.over) return
    if (kinds.lasting < LASTING) begin('lasting', 100_000)
    if (kinds.coming < COMING) begin('coming', 1 + (clients % 3))
  }, TICK_MILLISECONDS)
  return load
}

/** Until those who stay are logged in. */
export const flowing = (load: Load): Promise<void> =>
  until('the load', () => load.live() >= LASTING && load.journal.fates.size >= LASTING, { timeout: 30_000 })
