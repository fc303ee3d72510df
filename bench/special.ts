// Rows that are more than a load put on two sides: memory of idle sessions, the descriptor limit, a burst, rules, a reload.
import { connect } from 'node:net'
import { interleave } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { askControl } from './control.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { sleep } from './fixture.ts'
import { type Held, holdLoad, runLoad } from './loadgen.ts'
import { descriptorLimit, listenOverflows, pssOf } from './proc.ts'
import { plainSetup, type Running, type Setup, type Side } from './side.ts'

export interface SpecialRow {
  readonly row: string
  readonly sentence: string
  readonly quick?: boolean
  readonly full?: boolean
  readonly run: (context: Context) => Promise<Outcome>
}

type Problems = Outcome['problems'][number][]

interface FigureParts {
  readonly row: string
  readonly figure: string
  readonly unit: string
  readonly better?: 'more' | 'less'
  readonly clients: number
  readonly x?: number
  readonly ours?: readonly number[]
  readonly baseline?: readonly number[]
  readonly target?: Target
}

const figure = ({ ours, baseline, target, better, ...rest }: FigureParts): Figure => ({
  against: 'chain',
  better: better ?? 'less',
  target,
  ours: sampleOf(ours ?? []),
  baseline: sampleOf(baseline ?? []),
  ...rest,
})

/** A generator holds at most so many connections; more of them, from addresses of their own, hold the rest. */
const PER_GENERATOR = 10_000

/** Holds `clients` idle sessions, opened over `ramp` seconds, in as many generators as it takes. */
async function hold(
  running: Running,
  clients: number,
  how: 'greeting' | 'login',
  users: number,
): Promise<readonly Held[]> {
  const groups = Math.ceil(clients / PER_GENERATOR)
  const each = Math.ceil(clients / groups)
  return await Promise.all(
    Array.from({ length: groups }, (_, group) => {
      const count = Math.min(each, clients - group * each)
      return holdLoad(running.port, {
        hold: how,
        clients: count,
        users,
        ramp: count / 1000,
        sources: 1 + group * 4,
        timeout: 60,
      })
    }),
  )
}

async function release(side: Side, held: readonly Held[], problems: Problems): Promise<void> {
  for (const each of held) {
    const report = await each.release()
    if (report.errors.total > 0)
      problems.push({
        side: side.name,
        text: `${report.errors.total} idle sessions lost: ${report.samples.map((sample) => `${sample.count} x ${sample.kind} at ${sample.at} "${sample.text}"`).join(', ')}`,
      })
  }
}

async function onSide<T>(side: Side, setup: Partial<Setup>, work: (running: Running) => Promise<T>): Promise<T> {
  const running = await side.start({ ...plainSetup, ...setup })
  try {
    return await work(running)
  } finally {
    await running.stop()
  }
}

/** How many idle sessions there are at the first and at the second reading. */
type Crowd = readonly [few: number, many: number]

/** After `rest` milliseconds: what a load has left in heaps is collected when they have been idle for some seconds. */
async function restingPss(running: Running, rest: number): Promise<number> {
  await sleep(rest)
  return pssOf(running.pids)
}

/**
 * KB a session of everything that the side runs, by the growth from few to many idle sessions: what the first ones bring in, code and
 * room in heaps, belongs to no session.
 */
async function memoryOf(
  side: Side,
  [few, many]: Crowd,
  how: 'greeting' | 'login',
  rest: number,
  problems: Problems,
): Promise<number> {
  return await onSide(side, { clients: many }, async (running) => {
    await runLoad(running.port, { clients: 20, sessions: 200, users: 100 })
    const first = await hold(running, few, how, 100)
    const before = await restingPss(running, rest)
    const second = await hold(running, many - few, how, 100)
    const after = await restingPss(running, rest)
    await release(side, [...first, ...second], problems)
    return (after - before) / (many - few)
  })
}

async function memory(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const figures: Figure[] = []
  const quick = context.extent === 'quick'
  const ofChain: Crowd = quick ? [50, 150] : [100, 500]
  const rows: readonly (readonly ['greeting' | 'login', string, Target, Crowd])[] = [
    ['greeting', 'before login', { of: 'ratio', least: 1 / 30, aim: 1 / 60 }, quick ? [500, 2000] : [1000, 8000]],
    ['login', 'after login', { of: 'ratio', least: 1 / 3, aim: 1 / 4 }, ofChain],
  ]
  for (const [how, name, target, ofOurs] of rows) {
    context.progress(`memory: ${name}`)
    const clients = ofOurs[1]
    const ours = context.ours && [await memoryOf(context.ours, ofOurs, how, quick ? 700 : 15_000, problems)]
    const baseline = context.chain && [await memoryOf(context.chain, ofChain, how, 700, problems)]
    figures.push(
      figure({
        row: 'memory',
        figure: `PSS of an idle session ${name}`,
        unit: 'KB',
        clients,
        target,
        ...(ours && { ours }),
        ...(baseline && { baseline }),
      }),
    )
  }
  return { figures, problems }
}

/** Five logins one after the other: the slowest, in milliseconds from connecting to the 221. */
async function slowestLogin(side: Side, running: Running, problems: Problems): Promise<number> {
  const report = await runLoad(running.port, { sessions: 5, users: 100, sources: 200 })
  if (report.errors.total > 0)
    problems.push({ side: side.name, text: `a real user did not get through: ${JSON.stringify(report.samples)}` })
  return report.ms.session.count > 0 ? report.ms.session.max : Number.NaN
}

async function idleLimit(context: Context): Promise<Outcome> {
  const problems: Problems = []
  if (!context.ours) return { figures: [], problems }
  const side = context.ours
  const clients = Math.floor(descriptorLimit() * 0.9)
  context.progress(`idle-limit: ${clients} idle connections`)
  const slowest = await onSide(side, { clients }, async (running) => {
    const held = await hold(running, clients, 'greeting', 100)
    const there = held.reduce((sum, each) => sum + each.held, 0)
    if (there < clients)
      problems.push({ side: side.name, text: `only ${there} of ${clients} idle connections were greeted` })
    const answer = await slowestLogin(side, running, problems)
    await release(side, held, problems)
    return answer
  })
  const target = { of: 'ours', least: 1000, aim: 100 } as const
  return {
    figures: [
      figure({
        row: 'idle-limit',
        figure: 'slowest session of a real user',
        unit: 'ms',
        clients,
        ours: [slowest],
        target,
      }),
    ],
    problems,
  }
}

interface Burst {
  readonly overflows: number
  readonly errors: number
  readonly banner: number
  readonly silence: number
  readonly seconds: number
}

async function burstOn(side: Side, clients: number): Promise<Burst> {
  return await onSide(side, { clients }, async (running) => {
    const before = listenOverflows()
    const report = await runLoad(running.port, { clients, sessions: clients, users: 100, timeout: 60 })
    return {
      overflows: listenOverflows() - before,
      errors: report.errors.total,
      banner: report.ms.banner.max,
      silence: report.longestSilence,
      seconds: report.seconds,
    }
  })
}

async function burst(context: Context): Promise<Outcome> {
  const clients = 4000
  const problems: Problems = []
  const results: { ours?: Burst; baseline?: Burst } = {}
  context.progress(`burst: ${clients} connections at once`)
  if (context.ours) results.ours = await burstOn(context.ours, clients)
  // 4000 simultaneous chains are 16,000 processes; only --full asks that of the machine.
  if (context.chain && context.extent === 'full') results.baseline = await burstOn(context.chain, clients)
  const row = (name: string, unit: string, key: keyof Burst, target?: Target): Figure =>
    figure({
      row: 'burst',
      figure: name,
      unit,
      clients,
      ...(target && { target }),
      ...(results.ours && { ours: [results.ours[key]] }),
      ...(results.baseline && { baseline: [results.baseline[key]] }),
    })
  return {
    figures: [
      row('listen queue overflows', '', 'overflows', { of: 'ours', least: 0 }),
      row('errors', '', 'errors', { of: 'ours', least: 0 }),
      row('longest silence', 'ms', 'silence', { of: 'ours', least: 1000 }),
      row('slowest greeting', 'ms', 'banner'),
      row('until all are served', 's', 'seconds'),
    ],
    problems,
  }
}

/** Reply lines of one message that the added rules are tried on: MAIL, RCPT, DATA and the one after the message. */
const LINES_A_MESSAGE = 4

async function ruleCost(context: Context): Promise<Outcome> {
  const few = plainSetup.rules
  const many = 10_000
  const problems: Problems = []
  const costs: { ours?: number[]; baseline?: number[] } = {}
  for (const [role, side] of [
    ['ours', context.ours],
    ['baseline', context.chain],
  ] as const) {
    if (!side) continue
    context.progress(`rules: ${few} against ${many}, ${side.name}`)
    const clients = 16
    const wishes = [few, many].map((rules) => ({ side, setup: { ...plainSetup, clients, rules } }))
    const load = {
      clients,
      users: 100,
      messages: 20,
      duration: context.seconds + context.warmup,
      warmup: context.warmup,
    }
    const run = await interleave(wishes, () => load, context.runs)
    problems.push(...run.problems)
    // The chain parses its rules anew in each session: its processes end with the session, so all its CPU counts.
    const perLine = (index: number): readonly number[] =>
      (run.measured[index] ?? []).map((each) => {
        const cpu = role === 'ours' ? each.ownCpu : (each.cpuPerSession * each.load.all.sessions) / 1e6
        return (cpu * 1e9) / Math.max(1, each.load.all.messages * LINES_A_MESSAGE)
      })
    const base = sampleOf(perLine(0))?.median ?? 0
    costs[role] = perLine(1).map((cost) => (cost - base) / (many - few))
  }
  const target = { of: 'ours', least: 100 } as const
  return {
    figures: [
      figure({
        row: 'rules',
        figure: 'a rule that does not match, a line',
        unit: 'ns',
        clients: 16,
        x: many,
        target,
        ...costs,
      }),
    ],
    problems,
  }
}

/** A session that says NOOP as fast as it is answered; the longest it waited, in milliseconds. */
function noopProbe(port: number): { readonly longest: () => number; readonly end: () => void } {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let asked = performance.now()
  let longest = 0
  socket.on('error', () => {
    longest = Number.POSITIVE_INFINITY
  })
  socket.on('data', () => {
    const now = performance.now()
    if (asked > 0) longest = Math.max(longest, now - asked)
    setTimeout(() => {
      asked = performance.now()
      socket.write('NOOP\r\n')
    }, 1)
  })
  return {
    longest() {
      const result = longest
      longest = 0
      return result
    },
    end: () => socket.destroy(),
  }
}

async function reload(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const side = context.ours
  if (!side) return { figures: [], problems }
  const clients = 1000
  context.progress(`reload: 1000 rules under ${clients} sessions`)
  return await onSide(side, { clients, rules: 1000 }, async (running) => {
    const held = await hold(running, clients, context.extent === 'quick' ? 'greeting' : 'login', 100)
    const probes = Array.from({ length: 8 }, () => noopProbe(running.port))
    await sleep(1000)
    const milliseconds: number[] = []
    const stalls: number[] = []
    for (let round = 0; round < 5; round++) {
      for (const probe of probes) probe.longest()
      const begun = performance.now()
      const answer = await askControl(running.controlSocket ?? '', 'config.reload', {})
      milliseconds.push(performance.now() - begun)
      if (answer.error) problems.push({ side: side.name, text: `config.reload: ${answer.error}` })
      await sleep(200)
      stalls.push(Math.max(...probes.map((probe) => probe.longest())))
    }
    for (const probe of probes) probe.end()
    await release(side, held, problems)
    const parts = { row: 'reload', unit: 'ms', clients, x: 1000 }
    return {
      figures: [
        figure({ ...parts, figure: 'config.reload', ours: milliseconds, target: { of: 'ours', least: 50 } }),
        figure({ ...parts, figure: 'longest wait of a NOOP', ours: stalls, target: { of: 'ours', least: 20 } }),
      ],
      problems,
    }
  })
}

async function idleCurve(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const figures: Figure[] = []
  const most = Math.floor(descriptorLimit() * 0.9)
  for (const clients of [1, 100, 1000, 4000, most]) {
    context.progress(`curve-idle: ${clients}`)
    const run = async (side: Side): Promise<number> =>
      await onSide(side, { clients: clients + 10 }, async (running) => {
        const held = await hold(running, clients, 'greeting', 100)
        const answer = await slowestLogin(side, running, problems)
        await release(side, held, problems)
        return answer
      })
    const ours = context.ours && [await run(context.ours)]
    const baseline = context.chain && clients <= 4000 ? [await run(context.chain)] : undefined
    figures.push(
      figure({
        row: 'curve-idle',
        figure: 'slowest session of a real user',
        unit: 'ms',
        clients: 1,
        x: clients,
        ...(ours && { ours }),
        ...(baseline && { baseline }),
      }),
    )
  }
  return { figures, problems }
}

export const specialRows: readonly SpecialRow[] = [
  {
    row: 'memory',
    sentence: 'PSS of an idle session before and after login, backend included',
    quick: true,
    run: memory,
  },
  { row: 'idle-limit', sentence: 'nine tenths of the descriptor limit idle, and a real user', run: idleLimit },
  { row: 'burst', sentence: '4000 connections at once', run: burst },
  { row: 'rules', sentence: 'the cost of a rule that does not match', run: ruleCost },
  { row: 'reload', sentence: 'a reload of 1000 rules with 1000 sessions live', run: reload },
  { row: 'curve-idle', sentence: 'a real user among ever more idle connections', full: true, run: idleCurve },
]
