// What acceptd can be asked to do besides: each has a row of `cost`.
import { get } from 'node:http'
import { join } from 'node:path'
import { Acceptd } from '../src/client/client.ts'
import { endProgram, type Fixture, findProgram, freePort, listens, startProgram } from './fixture.ts'
import type { Feature } from './side.ts'

/** Of 50 lines of control/limits, each of which is counted. */
function limitLines(): string {
  const scopes = ['address', 'network', 'user', 'user+address', 'listener', 'all']
  const whats = [
    'sessions 1000000',
    'logins 1000000/minute',
    ...['second', 'hour', 'day'].map((unit) => `messages 1000000/${unit}`),
    ...['minute', 'hour', 'day'].map((unit) => `recipients 1000000/${unit}`),
    'octets 1000000000/hour',
  ]
  return scopes
    .flatMap((scope) => whats.map((what) => `${scope} ${what}`))
    .slice(0, 50)
    .map((line, index) => `bench-${index} ${line}\n`)
    .join('')
}

/** A thousand networks that are none of the bench, and the one that is. */
const accessLines = (): string =>
  `${Array.from({ length: 1000 }, (_, index) => `10.${index >> 8}.${index & 255}.:deny\n`).join('')}127.:allow\n:deny\n`

const sendersLines = (): string =>
  Array.from({ length: 1000 }, (_, index) => `user${index} bench@bench.invalid other${index}@bench.invalid\n`).join('')

const FILES: Readonly<Partial<Record<Feature, (engine: number) => string>>> = {
  limits: limitLines,
  access: accessLines,
  senders: sendersLines,
  fleet: (engine) => `engine redis://127.0.0.1:${engine}\nname bench\n`,
}

/** Files of the control directory by their names; `engine` is the port of that of a fleet. */
export const featureFiles = (features: readonly Feature[], engine = 0): Readonly<Record<string, string>> =>
  Object.fromEntries(
    features.flatMap((feature) => {
      const text = FILES[feature]?.(engine)
      return text === undefined ? [] : [[feature, text]]
    }),
  )

const engineProgram = (): string | undefined => findProgram('valkey-server') ?? findProgram('redis-server')

export const fleetAbsent = (): string | undefined =>
  engineProgram() === undefined ? 'neither Valkey nor Redis is installed (Debian: redis-server)' : undefined

export interface Engine {
  readonly port: number
  readonly pids: readonly number[]
  readonly stop: () => Promise<void>
}

/** What a fleet shares its limits through; nothing, where it is not asked for. */
export async function startEngine(fixture: Fixture, features: readonly Feature[]): Promise<Engine> {
  if (!features.includes('fleet')) return { port: 0, pids: [], stop: async () => undefined }
  const port = await freePort()
  const words = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
  const child = startProgram(engineProgram() ?? 'redis-server', words, {
    log: join(fixture.directory, `engine-${port}.log`),
    cwd: fixture.directory,
  })
  await listens(port, child)
  return { port, pids: [child.pid ?? 0], stop: () => endProgram(child) }
}

/** Begins what is asked of it while it is measured; the function that comes back ends it. */
export function watch(features: readonly Feature[], controlSocket: string, metricsPort: number): () => Promise<void> {
  const ends: (() => Promise<void>)[] = []
  if (features.includes('trace')) ends.push(trace(controlSocket))
  if (features.includes('metrics')) ends.push(scrape(metricsPort))
  return async () => {
    for (const end of ends) await end()
  }
}

/** One user of a hundred. */
function trace(path: string): () => Promise<void> {
  const acceptd = new Acceptd({ path })
  const stream = acceptd.trace({ user: 'user7', ttl: 3600, lines: 100_000 })
  const lines = (async () => {
    let count = 0
    for await (const _ of stream) count += 1
    return count
  })()
  return async () => {
    acceptd.close()
    if ((await lines) === 0) throw new Error('a trace of user7 has told nothing')
  }
}

/** Each second, and at once. */
function scrape(port: number): () => Promise<void> {
  let pages = 0
  const ask = (): void => {
    get({ host: '127.0.0.1', port, path: '/metrics' }, (answer) => {
      if (answer.statusCode === 200) pages += 1
      answer.resume()
    }).on('error', () => undefined)
  }
  ask()
  const timer = setInterval(ask, 1000)
  return async () => {
    clearInterval(timer)
    if (pages === 0) throw new Error(`no metrics on port ${port}`)
  }
}
