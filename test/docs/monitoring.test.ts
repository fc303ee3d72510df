// The lines of docs/monitoring.md, over the real daemon: each is run as it stands there, with the paths of the test.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fixture } from '../rpc/fixture.ts'
import { PASSWORD } from '../support/host.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

/** From acceptctl on, without what a probe's list ends with. */
const lines = [...readFileSync('docs/monitoring.md', 'utf8').matchAll(/^ {4}.*?(acceptctl .*?)('\] \})?$/gm)].map(
  ([, line = '']) => line,
)

void test('the lines of docs/monitoring.md exit as it says', async (t) => {
  const { directory, status, control, host } = await fixture(t)
  const secret = join(directory, 'secret')
  writeFileSync(secret, `${PASSWORD}\n`)
  const run = (line: string, socket: string): Promise<number | null> => {
    const own = line
      .replaceAll('/run/acceptd/status.sock', socket === control ? status : socket)
      .replaceAll('/etc/acceptd-watchman', secret)
      .replaceAll('acceptctl', `${process.execPath} ${program}`)
    const child = spawn('sh', ['-c', own], { env: { ...process.env, ACCEPTD_SOCKET: socket }, stdio: 'ignore' })
    return new Promise((resolve) => child.on('close', resolve))
  }
  const states = await host.daemon.server.health()
  const worst = states.some(({ state }) => state === 'failed')
    ? 2
    : states.some(({ state }) => state === 'warning')
      ? 1
      : 0
  const [nagios = '', docker = '', kubernetes = '', login = '', errors = '', ...more] = lines
  assert.deepEqual(more, [])
  assert.equal(await run(nagios, control), worst)
  assert.equal(await run(docker, control), worst < 2 ? 0 : 1)
  assert.equal(await run(kubernetes, control), worst < 2 ? 0 : 1)
  assert.equal(await run(login, control), 0)
  assert.equal(await run(errors, control), 3)
  host.runtime.log('error', 'bug', { where: 'test' })
  assert.equal(await run(errors, control), 0)
  const nobody = join(directory, 'nobody.sock')
  for (const [line, code] of [
    [nagios, 3],
    [docker, 1],
    [kubernetes, 1],
    [login, 69],
  ] as const)
    assert.equal(await run(line, nobody), code, line)
})
