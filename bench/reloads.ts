// Rows of the control plane under load: reloads, large rule sets, session.list.
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Context, Outcome } from './context.ts'
import { askControl } from './control.ts'
import { ruleLines, sleep } from './fixture.ts'
import { figure, hold, onSide, type Problems, release } from './holding.ts'
import { runLoad } from './loadgen.ts'
import type { Running } from './side.ts'

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

/** Other rules than in the round before: a reload without a change publishes nothing. */
function writeRules({ control }: Running, rules: number, round: number): void {
  if (control !== undefined) writeFileSync(join(control, 'fixsmtpio'), `${ruleLines(rules)}:vrfy::55?*::550 ${round}\n`)
}

export async function reload(context: Context): Promise<Outcome> {
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
      writeRules(running, 1000, round)
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

/** What the slowest turn of any lane has been in the last second, in milliseconds, as the lanes measure it. */
async function lagOf({ controlSocket = '' }: Running): Promise<number> {
  const { result } = await askControl(controlSocket, 'lane.list', {})
  const { lanes = [] } = (result ?? {}) as { readonly lanes?: readonly { readonly lagSeconds: number }[] }
  return 1000 * Math.max(0, ...lanes.map(({ lagSeconds }) => lagSeconds))
}

export async function largeRules(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const side = context.ours
  if (!side) return { figures: [], problems }
  const [clients, rules] = [1000, 100_000]
  const isQuick = context.extent === 'quick'
  const [reloads, duration] = isQuick ? [5, 20] : [100, 300]
  context.progress(`large-rules: ${reloads} reloads of ${rules} rules under ${clients} sessions that submit`)
  return await onSide(side, { clients, rules, chain: 'builtin' }, async (running) => {
    const state = { loaded: true }
    const load = runLoad(running.port, { clients, users: 100, messages: 10, duration, timeout: 60 }).finally(() => {
      state.loaded = false
    })
    const [milliseconds, lags]: [number[], number[]] = [[], []]
    let done = 0
    while (state.loaded && done < reloads) {
      writeRules(running, rules, done)
      const begun = performance.now()
      const answer = await askControl(running.controlSocket ?? '', 'config.reload', { apply: 'next-transaction' })
      milliseconds.push(performance.now() - begun)
      if (answer.error) {
        const { result } = await askControl(running.controlSocket ?? '', 'log.errors', { level: 'error', limit: 5 })
        problems.push({ side: side.name, text: `config.reload: ${answer.error}: ${JSON.stringify(result)}` })
      }
      lags.push(await lagOf(running))
      done += 1
    }
    const { all, errors, samples } = await load
    const lost = samples.map((one) => `${one.count} x ${one.kind} at ${one.at} "${one.text}"`).join(', ')
    if (errors.total > 0) problems.push({ side: side.name, text: `${errors.total} sessions lost: ${lost}` })
    const parts = { row: 'large-rules', clients, x: rules }
    return {
      figures: [
        figure({ ...parts, figure: 'config.reload', unit: 'ms', ours: milliseconds }),
        figure({
          ...parts,
          figure: 'slowest turn of a lane',
          unit: 'ms',
          ours: lags,
          target: { of: 'ours', least: 20 },
        }),
        figure({ ...parts, figure: 'reloads', unit: '', better: 'more', ours: [done] }),
        figure({ ...parts, figure: 'messages meanwhile', unit: '', better: 'more', ours: [all.messages] }),
        figure({ ...parts, figure: 'sessions lost', unit: '', ours: [errors.total], target: { of: 'ours', least: 0 } }),
      ],
      problems,
    }
  })
}

/** All pages of session.list, as acceptctl asks for them. */
export async function pages(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const side = context.ours
  if (!side) return { figures: [], problems }
  const clients = context.extent === 'quick' ? 2000 : 10_000
  context.progress(`pages: session.list over ${clients} sessions`)
  return await onSide(side, { clients }, async (running) => {
    const held = await hold(running, clients, 'greeting', 100)
    const milliseconds: number[] = []
    for (let round = 0; round < 5; round++) {
      const begun = performance.now()
      let listed = 0
      let cursor: string | undefined
      do {
        const { result, error } = await askControl(running.controlSocket ?? '', 'session.list', {
          limit: 1000,
          ...(cursor !== undefined && { cursor }),
        })
        if (error !== undefined) problems.push({ side: side.name, text: `session.list: ${error}` })
        const { sessions = [], next } = (result ?? {}) as { sessions?: readonly unknown[]; next?: string }
        listed += sessions.length
        cursor = next
      } while (cursor !== undefined)
      milliseconds.push(performance.now() - begun)
      if (listed !== clients) problems.push({ side: side.name, text: `${listed} of ${clients} sessions are listed` })
    }
    await release(side, held, problems)
    const parts = { row: 'pages', unit: 'ms', clients, target: { of: 'ours', least: 500 } as const }
    return { figures: [figure({ ...parts, figure: 'all pages of session.list', ours: milliseconds })], problems }
  })
}
