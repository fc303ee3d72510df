// npm run soak: two thirds of what this machine serves, for an hour, while acceptd is reloaded, upgraded, killed in parts and visited by
// clients that say nothing. Memory, descriptors, lag and p99 have to stay what they are.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { askControl } from './control.ts'
import { writeSection } from './document.ts'
import { machineFacts } from './facts.ts'
import { buildPrograms, endAllPrograms, makeFixture, ruleLines, sleep, top } from './fixture.ts'
import { runLoad } from './loadgen.ts'
import { oursSide } from './ours.ts'
import { type Plot, svgPlot } from './plot.ts'
import { processTree } from './proc.ts'
import { plainSetup, type Running } from './side.ts'
import { factsLine } from './table.ts'
import { type Trend, trendOf } from './trend.ts'

const USAGE = `usage: npm run soak [-- [--minutes N] [--write]]

  --minutes N  how long (60), after two measurements of what the machine serves
  --write      writes docs/soak-*.svg and the table of docs/reliability.md
`

const CLIENTS = 64
const SEGMENT_SECONDS = 10
/** V8 has compiled what is used. */
const SETTLING_SECONDS = 15
const CAPACITY_SECONDS = 10
const SHARE = 2 / 3
/** The part of the samples at the beginning that says nothing yet: heaps grow to what they need. */
const WARMING = 0.25
const SILENT = 200

interface Sample {
  readonly minutes: number
  /** MB, of acceptd's own processes. */
  readonly memory: number
  readonly descriptors: number
  /** Milliseconds: the slowest turn of a lane, and the session that 1 in 100 exceeds. */
  readonly lag: number
  readonly p99: number
}
const MEASURES = [
  ['memory', 'Memory of acceptd\u2019s own processes', 'MB'],
  ['descriptors', 'Open descriptors of acceptd\u2019s own processes', 'descriptors'],
  ['lag', 'Slowest turn of a lane', 'ms'],
  ['p99', 'Session time that 1 in 100 exceeds', 'ms'],
] as const satisfies readonly (readonly [keyof Sample, string, string])[]

const began = performance.now()
const say = (text: string): void => {
  process.stdout.write(`soak: ${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`)
}

const own = ({ pids, isOwn }: Running) => processTree(pids).filter(({ command }) => isOwn(command))

/** Of a process that has ended meanwhile: none. */
function attempt(read: () => number): number {
  try {
    return read()
  } catch {
    return 0
  }
}

const proportional = (pid: number): number =>
  attempt(() => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0) / 1024)

async function lagOf({ controlSocket = '' }: Running): Promise<number> {
  const { result } = await askControl(controlSocket, 'lane.list', {}).catch(() => ({ result: undefined }))
  const { lanes = [] } = (result ?? {}) as { readonly lanes?: readonly { readonly lagSeconds: number }[] }
  return 1000 * Math.max(0, ...lanes.map(({ lagSeconds }) => lagSeconds))
}

const ask = async ({ controlSocket = '' }: Running, method: string, params = {}): Promise<void> => {
  const { error } = await askControl(controlSocket, method, params)
  if (error !== undefined) say(`${method}: ${error}`)
}

/** The newest of them, by their command and parent. */
function kill(running: Running, command: string, choose: (pid: number) => boolean = () => true): void {
  const found = processTree(running.pids)
    .filter((one) => one.command === command && choose(one.pid))
    .at(-1)
  if (found !== undefined) attempt(() => Number(process.kill(found.pid, 'SIGKILL')))
}

function runtimePid(running: Running): number {
  const nodes = own(running).filter(({ command }) => command === 'node' || command === 'acceptd.js')
  const parents = new Set(nodes.map(({ parent }) => parent))
  return nodes.find(({ pid }) => !parents.has(pid))?.pid ?? 0
}

/** What happens in each segment in turn. */
const EVENTS: readonly (readonly [string, (running: Running, n: number) => Promise<void> | void])[] = [
  [
    'a reload',
    async (running, n) => {
      writeFileSync(join(running.control ?? '', 'fixsmtpio'), `${ruleLines(12)}:vrfy::55?*::550 ${n}\n`)
      await ask(running, 'config.reload')
    },
  ],
  ['lanes recycled', (running) => ask(running, 'lane.recycle', { all: true })],
  ['a backend killed', (running) => kill(running, 'discard')],
  ['an upgrade', (running) => ask(running, 'server.upgrade')],
  ['clients that say nothing', (running) => silent(running)],
  ['a process of the helper killed', (running) => kill(running, 'accept-helper')],
  ['the runtime killed', (running) => kill(running, 'node', (pid) => pid === runtimePid(running))],
]

/** They come, wait for a greeting and go without a word. */
async function silent({ port }: Running): Promise<void> {
  const sockets = Array.from({ length: SILENT }, () =>
    connect({ host: '127.0.0.1', port }).on('error', () => undefined),
  )
  await sleep(2000)
  for (const socket of sockets) socket.destroy()
}

async function segment(running: Running, rate: number, n: number, from: number): Promise<Sample> {
  const [name, happen] = EVENTS[n % EVENTS.length] ?? ['nothing', () => undefined]
  const load = runLoad(running.port, { clients: 1000, users: 100, rate, duration: SEGMENT_SECONDS, timeout: 20 })
  const state = { over: false }
  const ended = load.finally(() => (state.over = true))
  await happen(running, n)
  let lag = 0
  while (!state.over) {
    await Promise.race([sleep(1000), ended])
    lag = Math.max(lag, await lagOf(running))
  }
  const { ms, perSecond, errors } = await load
  const all = own(running)
  const sample = {
    minutes: (performance.now() - from) / 60_000,
    memory: all.reduce((sum, { pid }) => sum + proportional(pid), 0),
    descriptors: all.reduce((sum, { pid }) => sum + attempt(() => readdirSync(`/proc/${pid}/fd`).length), 0),
    lag,
    p99: ms.session.p99,
  }
  const shown = `${sample.memory.toFixed(0)} MB, ${sample.descriptors} descriptors, lag ${lag.toFixed(1)} ms, p99 ${sample.p99.toFixed(1)} ms`
  say(`${name}: ${perSecond.sessions.toFixed(0)}/s, ${errors.total} lost, ${shown}`)
  return sample
}

async function capacityOf({ port }: Running): Promise<number> {
  await runLoad(port, { clients: CLIENTS, users: 100, duration: SETTLING_SECONDS })
  const { perSecond } = await runLoad(port, { clients: CLIENTS, users: 100, duration: CAPACITY_SECONDS, warmup: 1 })
  return perSecond.sessions
}

function plotOf(samples: readonly Sample[], [key, title, unit]: (typeof MEASURES)[number]): Plot {
  const points = samples.map((sample) => [sample.minutes, sample[key], sample[key], sample[key]] as const)
  return { title, x: 'minutes', y: unit, linear: true, series: [{ name: key, points }] }
}

function trendLine([key, , unit]: (typeof MEASURES)[number], { median, slope, error, growth, flat }: Trend): string {
  const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(1)}`
  return `| ${key} | ${median.toFixed(1)} ${unit} | ${signed(slope)} ± ${error.toFixed(1)} | ${signed(100 * growth)} % | ${flat ? 'flat' : '**grows**'} |`
}

async function soak(minutes: number, write: boolean): Promise<number> {
  buildPrograms()
  const fixture = makeFixture()
  const running = await oursSide(fixture).start({ ...plainSetup, clients: 1000, chain: 'builtin' })
  const capacity = await capacityOf(running)
  const rate = Math.max(1, Math.round(capacity * SHARE))
  say(`this machine serves ${capacity.toFixed(0)} sessions a second; ${rate} for ${minutes} minutes`)
  const samples: Sample[] = []
  const from = performance.now()
  for (let n = 0; performance.now() - from < minutes * 60_000; n += 1)
    samples.push(await segment(running, rate, n, from))
  await running.stop()
  const late = samples.slice(Math.floor(samples.length * WARMING))
  const trends = MEASURES.map((measure) => trendOf(late.map((one) => [one.minutes / 60, one[measure[0]]])))
  const rows = MEASURES.map((measure, n) => trendLine(measure, trends[n] as Trend))
  const table = ['| | median | slope an hour | growth in the run | |', '|---|---:|---:|---:|---|', ...rows, ''].join(
    '\n',
  )
  process.stdout.write(`\n${table}\n`)
  if (write) writeDocument(samples, table, `${rate} of ${capacity.toFixed(0)} sessions a second`, minutes)
  const grows = MEASURES.filter((_measure, n) => trends[n]?.flat !== true).map(([key]) => key)
  if (grows.length > 0) say(`not flat: ${grows.join(', ')}`)
  return grows.length === 0 ? 0 : 1
}

function writeDocument(samples: readonly Sample[], table: string, load: string, minutes: number): void {
  for (const measure of MEASURES)
    writeFileSync(join(top, `docs/soak-${measure[0]}.svg`), svgPlot(plotOf(samples, measure)))
  const plots = MEASURES.map(([key, title]) => `![${title}](soak-${key}.svg)\n`).join('\n')
  const text = `\`npm run soak -- --minutes ${minutes}\`: ${load}. ${factsLine(machineFacts())}.\n\n${table}\n${plots}`
  writeSection('soak', text)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: process.argv.slice(2).filter((word) => word !== '--no-build'),
    options: { minutes: { type: 'string', default: '60' }, write: { type: 'boolean' }, help: { type: 'boolean' } },
  })
  if (values.help === true) {
    process.stdout.write(USAGE)
    return 0
  }
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error(`--minutes takes a number above 0, not "${values.minutes}"`)
  return soak(minutes, values.write === true)
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    endAllPrograms()
    process.exit(code)
  })
main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`soak: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(2)
  },
)
