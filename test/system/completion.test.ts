// zsh and fish complete what acceptctl and the daemon know; bash does in test/rpc.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { completer } from '../rpc/completing.ts'
import { fixture } from '../rpc/fixture.ts'

const EVIL = 'x$(touch evil)`touch evil`;touch evil'

for (const shell of ['zsh', 'fish'] as const)
  void test(`${shell} completes what the daemon knows, and runs nothing of it`, async (t) => {
    const { host, directory, control, idOf } = await fixture(t)
    const bin = join(directory, 'bin')
    mkdirSync(bin)
    const tab = completer(shell, { directory: bin, socket: control })
    writeFileSync(join(bin, 'file'), '')
    await host.daemon.users.block(EVIL, undefined)
    assert.deepEqual(await tab('session', 'kill', '--mo'), ['--mode'])
    const ids = await Promise.all(['user1', 'alice'].map(idOf))
    assert.deepEqual((await tab('session', 'get', '1.')).toSorted(), ids.toSorted())
    assert.deepEqual(await tab('session', 'list', '--user=al'), ['--user=alice'])
    assert.deepEqual(await tab('call', 'session.kill', 'us'), ['user='])
    assert.deepEqual(await tab('watch', 'session', 'a'), ['auth'])
    assert.equal((await tab('user', 'unblock', 'x')).length, 1)
    assert.equal((await tab('config', 'check', 'f')).length, 1)
    assert.ok(!readdirSync(bin).includes('evil'))
  })
