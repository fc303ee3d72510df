// The row `tls`: what TLS costs acceptd, against a server in C that does nothing but the same handshakes in the same run.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Context, Outcome } from './context.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { benchProgram, buildPrograms, freePort } from './fixture.ts'
import { cpuOf, pssOf } from './proc.ts'
import { plainSetup, type Running } from './side.ts'

interface Handshakes {
  readonly handshakes: number
  readonly resumed: number
  readonly seconds: number
}

const CLIENTS = 16

const dial = (program: string, port: number, count: number, how: 'full' | 'resumed' | 'plain'): Promise<Handshakes> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, ['dial', `${port}`, `${CLIENTS}`, `${count}`, how], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
    child.on('error', reject).on('close', (code) => {
      if (code === 0) resolve(JSON.parse(text) as Handshakes)
      else reject(new Error(`handshakes: exit ${code}`))
    })
  })

/** Waits for its first line. */
async function said(child: ChildProcess, word: string): Promise<void> {
  let text = ''
  while (!text.includes(word)) {
    if (child.stdout === null || child.exitCode !== null) throw new Error(`handshakes ended without \`${word}\``)
    const [more] = (await once(child.stdout, 'data')) as [Buffer]
    text += more.toString()
  }
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill()
  await gone
}

/** `what`: a certificate and a key, or `plain`. */
async function serveBare(program: string, what: readonly string[]) {
  const port = await freePort()
  const child = spawn(program, ['serve', `${port}`, ...what], { stdio: ['ignore', 'pipe', 'inherit'] })
  await said(child, 'listening')
  return { port, pid: child.pid ?? 0, end: () => end(child) }
}

interface Cost {
  readonly microseconds: number
  readonly resumed: number
}

/** CPU of everything below these processes for one handshake. */
async function costOf(
  program: string,
  port: number,
  pids: readonly number[],
  count: number,
  how: 'full' | 'resumed' | 'plain',
): Promise<Cost> {
  // What is run for the first time is not what it costs.
  await dial(program, port, Math.ceil(count / 4), how)
  const before = cpuOf(pids, () => true).total
  const { handshakes, resumed } = await dial(program, port, count, how)
  const microseconds = ((cpuOf(pids, () => true).total - before) * 1e6) / handshakes
  return { microseconds, resumed: (resumed * 100) / handshakes }
}

/** KB that an idle session takes, by the growth of what the processes take. */
async function memoryOf(program: string, port: number, running: Running, count: number, how: 'tls' | 'plain') {
  const before = pssOf(running.pids)
  const child = spawn(program, ['hold', `${port}`, `${count}`, how], { stdio: ['pipe', 'pipe', 'inherit'] })
  await said(child, 'held')
  const kilobytes = (pssOf(running.pids) - before) / count
  const gone = once(child, 'exit')
  child.stdin.end()
  await gone
  return kilobytes
}

const figure = (
  name: string,
  unit: string,
  ours: readonly number[],
  baseline: readonly number[] | undefined,
  target: Target | undefined,
  clients = CLIENTS,
): Figure => ({
  row: 'tls',
  figure: name,
  unit,
  better: unit === '%' ? 'more' : 'less',
  clients,
  against: 'a bare OpenSSL server',
  ours: sampleOf(ours),
  baseline: baseline && sampleOf(baseline),
  target,
})

export async function tlsRow({ ours, fixture, extent, runs, progress }: Context): Promise<Outcome> {
  if (ours === undefined) return { figures: [], problems: [] }
  buildPrograms('handshakes')
  const program = benchProgram('handshakes')
  const quick = extent === 'quick'
  const [count, held] = quick ? [800, 500] : [8000, 4000]
  const bareKey = fixture.pair('bare')
  const bare = await serveBare(program, [bareKey.certificate, bareKey.key])
  const barePlain = await serveBare(program, ['plain', '-'])
  const running = await ours.start({ ...plainSetup, clients: held, lanes: 2, tls: true })
  try {
    const costs = { plain: [] as Cost[], full: [] as Cost[], resumed: [] as Cost[] }
    const bares = { plain: [] as Cost[], full: [] as Cost[] }
    for (let run = 0; run < runs; run += 1) {
      progress(`tls: handshakes, ${run + 1} of ${runs}`)
      const { tlsPort = 0, pids } = running
      costs.plain.push(await costOf(program, running.port, pids, count, 'plain'))
      costs.full.push(await costOf(program, tlsPort, pids, count, 'full'))
      bares.plain.push(await costOf(program, barePlain.port, [barePlain.pid], count, 'plain'))
      bares.full.push(await costOf(program, bare.port, [bare.pid], count, 'full'))
      costs.resumed.push(await costOf(program, tlsPort, pids, count, 'resumed'))
    }
    progress('tls: idle sessions')
    const plain = await memoryOf(program, running.port, running, held, 'plain')
    const secured = await memoryOf(program, running.tlsPort ?? 0, running, held, 'tls')
    const of = (all: readonly Cost[]) => all.map(({ microseconds }) => microseconds)
    // What a client costs without TLS, the accept and the greeting, is no cost of the handshake, on either side.
    const added = (all: readonly Cost[], plainly: readonly Cost[]) =>
      of(all).map((cost, run) => cost - (of(plainly)[run] ?? Number.NaN))
    // A client's first handshake has nothing to resume.
    const possible = (100 * (count - CLIENTS)) / count
    const shares = costs.resumed.map(({ resumed }) => (resumed * 100) / possible)
    return {
      figures: [
        figure('CPU a full handshake adds', 'µs', added(costs.full, costs.plain), added(bares.full, bares.plain), {
          of: 'ratio',
          least: 3,
          aim: 1.5,
        }),
        figure('CPU a resumed handshake adds', 'µs', added(costs.resumed, costs.plain), undefined, undefined),
        figure('handshakes resumed, over two lanes', '%', shares, undefined, { of: 'ours', least: 95, aim: 99 }),
        figure(
          'PSS that TLS adds to an idle session',
          'KB',
          [secured - plain],
          undefined,
          { of: 'ours', least: 40, aim: 20 },
          held,
        ),
      ],
      problems: [],
    }
  } finally {
    await running.stop()
    await Promise.all([bare.end(), barePlain.end()])
  }
}
