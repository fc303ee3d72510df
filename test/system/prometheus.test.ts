// Debian's Prometheus scrapes acceptd each second: through mail, a lane that is recycled and a runtime that is killed no counter goes back
// but with its runtime, nothing is counted twice, and at idle every query of the dashboard has data.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { METRICS } from '../../src/contract/metrics.ts'
import { loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { TOP } from './machine.ts'
import { runtimeOf, signal, until } from './processes.ts'
import { makeRecorder, transact } from './recorder.ts'
import { must } from './run.ts'

let fixture: Fixture
let prometheus: ChildProcess | undefined
let said = ''
let [metrics, api] = [0, 0]

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

before(async () => {
  ;[metrics, api] = [await freePort(), await freePort()]
  fixture = await makeFixture({
    control: { lanes: '2\n', metrics: `127.0.0.1:${metrics}\n` },
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
  })
  const config = join(fixture.claim.dir, 'prometheus.yml')
  writeFileSync(
    config,
    `global: {scrape_interval: 1s}\nscrape_configs: [{job_name: acceptd, static_configs: [{targets: ['127.0.0.1:${metrics}']}]}]\n`,
  )
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(fixture.claim.dir, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${api}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  for (const stream of [prometheus.stdout, prometheus.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  await scrapes(3)
})
after(async () => {
  if (prometheus !== undefined && prometheus.exitCode === null) {
    prometheus.kill('SIGKILL')
    await once(prometheus, 'exit')
  }
  await fixture.end()
})

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

async function ask(path: string, words: Readonly<Record<string, string>>): Promise<readonly Series[]> {
  const answer = await fetch(`http://127.0.0.1:${api}/api/v1/${path}?${new URLSearchParams(words).toString()}`)
  const { status, error, data } = (await answer.json()) as {
    status: string
    error?: string
    data: { result: readonly Series[] }
  }
  assert.equal(status, 'success', `${JSON.stringify(words)}: ${error}`)
  return data.result
}

const query = (text: string): Promise<readonly Series[]> => ask('query', { query: text })
const numberOf = async (text: string): Promise<number> => Number((await query(text))[0]?.value?.[1] ?? Number.NaN)

/** Waits for this many more scrapes that found acceptd. */
async function scrapes(count: number): Promise<void> {
  const found = () => numberOf('sum(sum_over_time(up[1h]))').catch(() => Number.NaN)
  const first = (await found()) || 0
  await until('the scrapes', async () => (await found()) >= first + count, {
    timeout: 60_000,
    every: 200,
    show: () => said,
  })
}

async function send(messages: number): Promise<void> {
  const [{ name, password }] = fixture.people
  const talk = await loggedIn(fixture.daemon.port('mail'), name, password)
  for (let n = 0; n < messages; n += 1) await transact(talk, `prometheus ${n}`)
  assert.match(await talk.say('QUIT'), /^221 /)
}

const COUNTERS = Object.entries(METRICS).flatMap(([name, { type }]) =>
  type === 'counter' ? [name] : type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [],
)

/** Families that have gone back since the beginning. */
const wentBack = async (): Promise<readonly string[]> => {
  const all = await Promise.all(
    COUNTERS.map(async (name) => ((await numberOf(`sum(resets(${name}[1h]))`)) > 0 ? name : '')),
  )
  return all.filter((name) => name !== '')
}

/** The rate of messages at each second since then; a scrape before that may still bring some. */
async function ratesSince(seconds: number): Promise<readonly number[]> {
  const words = {
    query: 'sum(rate(acceptd_messages_total[5s]))',
    start: `${seconds}`,
    end: `${Date.now() / 1000}`,
    step: '1',
  }
  return (await ask('query_range', words)).flatMap(({ values = [] }) => values.map(([, value]) => Number(value)))
}

void describe('Prometheus', () => {
  void it('finds nothing wrong with the metrics', async () => {
    const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
    assert.equal(await must(['promtool', 'check', 'metrics'], { input: text }), '')
  })

  void it('has data at idle for every query of the dashboard', async () => {
    await scrapes(3)
    const dashboard = JSON.parse(readFileSync(join(TOP, 'docs/grafana-dashboard.json'), 'utf8')) as {
      panels: readonly { title: string; targets?: readonly { expr: string }[] }[]
    }
    const empty: string[] = []
    for (const { title, targets = [] } of dashboard.panels)
      for (const { expr } of targets) {
        const text = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '10s')
        if ((await query(text)).length === 0) empty.push(`${title}: ${text}`)
      }
    assert.deepEqual(empty, [])
  })

  void it('sees no number go back and no message twice while a lane is recycled, and a new runtime start from zero', async () => {
    await send(100)
    await scrapes(8)
    assert.equal(await numberOf('sum(acceptd_messages_total)'), 100)
    const quiet = Date.now() / 1000
    await fixture.daemon.call('lane.recycle', { all: true })
    await scrapes(8)
    assert.deepEqual(await wentBack(), [])
    assert.deepEqual(
      (await ratesSince(quiet)).filter((rate) => rate !== 0),
      [],
    )
    assert.equal(await numberOf('sum(acceptd_messages_total)'), 100)

    const killed = runtimeOf(fixture.daemon.pid)?.pid ?? 0
    signal(killed, 'SIGKILL')
    await until('another runtime', () => (runtimeOf(fixture.daemon.pid)?.pid ?? killed) !== killed)
    await scrapes(8)
    assert.equal(await numberOf('acceptd_runtime_restarts_total'), 1)
    assert.deepEqual(
      (await ratesSince(quiet)).filter((rate) => rate !== 0),
      [],
    )
    await send(10)
    await scrapes(8)
    assert.equal(await numberOf('sum(acceptd_messages_total)'), 10)
    // Each series began again once, and counts on from there.
    assert.ok((await numberOf('max(resets(acceptd_messages_total[1h]))')) <= 1)
    const rates = await ratesSince(quiet)
    assert.ok(Math.min(...rates) >= 0 && Math.max(...rates) <= 10, rates.join(' '))
    assert.deepEqual(await query('changes(process_start_time_seconds[1h]) != 1'), [])
  })
})
