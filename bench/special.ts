// Rows that are more than a load put on two sides: memory of idle sessions, the descriptor limit, rules; the others have files of their own.
import { burst } from './burst.ts'
import { interleave } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { cost } from './cost.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { sleep } from './fixture.ts'
import { figure, hold, onSide, type Problems, release, type SpecialRow } from './holding.ts'
import { limits } from './limit-row.ts'
import { runLoad } from './loadgen.ts'
import { open } from './open.ts'
import { descriptorLimit, pssOf } from './proc.ts'
import { recovery } from './recovery.ts'
import { largeRules, pages, reload } from './reloads.ts'
import { plainSetup, type Running, type Side } from './side.ts'
import { tlsRow } from './tls.ts'

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
    costs[role] = perLine(1).map((nanoseconds) => (nanoseconds - base) / (many - few))
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
  { row: 'tls', sentence: 'what TLS costs a handshake and an idle session', run: tlsRow },
  { row: 'idle-limit', sentence: 'nine tenths of the descriptor limit idle, and a real user', run: idleLimit },
  { row: 'burst', sentence: '2000 connections at once, and 4000', run: burst },
  { row: 'limits', sentence: 'what a server in C does at most that does the least', run: limits },
  {
    row: 'open',
    sentence:
      'open loop at rising rates: p99 at half of what the chain can do, and the rate at which p99 passes 100 ms',
    run: open,
  },
  { row: 'cost', sentence: 'what each thing besides costs, in per cent of the warm sessions/s', run: cost },
  { row: 'rules', sentence: 'the cost of a rule that does not match', run: ruleCost },
  { row: 'reload', sentence: 'a reload of 1000 rules with 1000 sessions live', run: reload },
  { row: 'large-rules', sentence: '100 reloads of 100,000 rules while 1000 sessions submit', run: largeRules },
  { row: 'recovery', sentence: 'what is missing, and for how long, after a kill or a deletion', run: recovery },
  { row: 'pages', sentence: 'session.list over 10,000 sessions', run: pages },
  { row: 'curve-idle', sentence: 'a real user among ever more idle connections', full: true, run: idleCurve },
]
