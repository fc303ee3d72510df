// The bench's own parent with TLS (native/base-tls.c) and its load generator in TLS, which need OpenSSL's headers.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { benchProgram, buildPrograms, freePort, listens, makeFixture } from '../../bench/fixture.ts'
import { type LoadReport, runLoad } from '../../bench/loadgen.ts'
import { type Claim, claimMachine } from './machine.ts'

let claim: Claim
let parent: ChildProcess
let port = 0
const fixture = makeFixture()

before(async () => {
  claim = await claimMachine()
  buildPrograms()
  buildPrograms('base-tls', 'loadgen-tls')
  const { certificate, key } = fixture.pair('chain')
  port = await freePort()
  parent = spawn(benchProgram('base-tls'), [String(port), '20', certificate, key, benchProgram('discard'), 'smtp'])
  await listens(port, parent)
})

after(async () => {
  parent.kill()
  await once(parent, 'exit')
  fixture.remove()
  claim.release()
})

const load = (options: Readonly<Record<string, string | number>>): Promise<LoadReport> =>
  runLoad(port, { auth: 'none', clients: 4, sessions: 20, ...options })

void test('each session has a whole handshake, or all but the first of a client are resumed', async () => {
  for (const [tls, resumed] of [
    ['full', 0],
    ['resumed', 16],
  ] as const) {
    const report = await load({ tls, messages: 2 })
    assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
    assert.equal(report.all.messages, 40)
    assert.deepEqual([report.handshakes, report.resumed], [20, resumed])
  }
})

void test('a message of many records arrives whole', async () => {
  const report = await load({ tls: 'full', clients: 1, sessions: 2, size: 5_000_000 })
  assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
  assert.equal(report.octets, 10_000_000)
})

void test('a server without TLS is an error of the session, and a generator without TLS takes no --tls', async () => {
  const report = await runLoad(port, { auth: 'none', sessions: 1, timeout: 1 })
  assert.equal(report.errors.total, 1)
  const child = spawn(benchProgram('loadgen'), ['--target', `127.0.0.1:${port}`, '--tls', 'full'])
  assert.deepEqual(await once(child, 'exit'), [2, null])
})
