// Whatever happens to the log, no login is delayed and nothing ends; lost lines are counted and reported.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { account, contents, Fixture, Helper, isRoot, until } from './fixture.ts'

void describe('a log that cannot be written', () => {
  let fixture: Fixture
  before(() => {
    fixture = new Fixture()
  })
  after(() => fixture.remove())

  /** Starts the helper with its descriptor 2 on this one. */
  const serve = async (log: number | string): Promise<{ helper: Helper; child: ChildProcess }> => {
    const fd = typeof log === 'number' ? log : openSync(log, 'w')
    const args = isRoot ? ['serve'] : ['serve', '-c', fixture.chainsPath]
    const child = spawn(fixture.helperPath, args, { ...account, stdio: ['pipe', 'ignore', fd] })
    if (typeof log === 'string') closeSync(fd)
    const helper = new Helper(fixture, child)
    await until('the helper', async () => {
      const probe = connect(fixture.socketPath)
      const up = await new Promise<boolean>((resolve) => {
        probe.on('connect', () => resolve(true)).on('error', () => resolve(false))
      })
      probe.destroy()
      return up
    })
    return { helper, child }
  }

  /** What makes the helper write to the log: a chains file with an error, and a login by an entry that cannot be used. */
  const provoke = async (helper: Helper): Promise<void> => {
    fixture.chains('nonsense 1')
    for (let i = 0; i < 20; i++) {
      assert.equal(await helper.answer({ chain: 'builtin', name: 'homeless' }), 'exit 111')
      assert.equal(await helper.answer({ chain: 'submission', name: 'homeless' }), 'exit 111')
    }
    assert.match(await helper.answer({ chain: 'builtin' }), /^ok /)
    assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
    fixture.chains()
  }

  void test('a full disk (ENOSPC)', async () => {
    const { helper } = await serve('/dev/full')
    await provoke(helper)
    assert.equal(await helper.stop(), 0)
  })

  void test('a pipe whose reader is gone (EPIPE)', async () => {
    const fifo = join(fixture.folder, 'gone')
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(fifo, 'w')
    const { helper } = await serve(writer)
    closeSync(reader)
    await provoke(helper)
    closeSync(writer)
    assert.equal(await helper.stop(), 0)
  })

  void test('a full socket, as that of the journal (EAGAIN): it stays blocking for others, and the lines are counted', async () => {
    const args = isRoot ? ['serve'] : ['serve', '-c', fixture.chainsPath]
    const child = spawn(fixture.helperPath, args, { ...account, stdio: ['pipe', 'ignore', 'pipe'] })
    assert.match(String(spawnSync('stat', ['-Lc', '%F', `/proc/${child.pid}/fd/2`]).stdout), /^socket/)
    child.stderr.setEncoding('latin1')
    let text = ''
    child.stderr.once('data', (line) => {
      text = line
      child.stderr.pause()
    })
    await until('the helper to serve', () => text.includes('serving'))
    const helper = new Helper(fixture, Object.assign(Object.create(child), { stderr: null }))
    const lost = /accept-helper: (\d+) lines of the log could not be written\n/
    for (let i = 0; i < 12; i++) await provoke(helper)
    assert.match(await helper.answer({ chain: 'builtin' }), /^ok /)
    child.stderr.on('data', (more) => {
      text += more
    })
    child.stderr.resume()
    await until('the number of lost lines', () => lost.test(text))
    assert.ok(Number(lost.exec(text)?.[1]) > 0)
    assert.equal(await helper.stop(), 0)
  })

  void test('a full pipe: it stays as it is, blocking, and the lines are counted', async () => {
    const fifo = join(fixture.folder, 'full')
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(fifo, constants.O_WRONLY)
    const { helper } = await serve(writer)
    const filler = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)
    const filling = Buffer.alloc(1024, 'x')
    try {
      for (;;) writeSync(filler, filling)
    } catch {
      // it is full
    }
    await provoke(helper)
    const flags = Number.parseInt(/flags:\s+(\d+)/.exec(contents(`/proc/self/fdinfo/${writer}`))?.[1] ?? '0', 8)
    assert.equal(flags & constants.O_NONBLOCK, 0)
    let text = ''
    const read = () => {
      const some = Buffer.alloc(1 << 16)
      try {
        text += some.toString('latin1', 0, readSync(reader, some))
      } catch {
        // nothing there yet
      }
      return /accept-helper: \d+ lines of the log could not be written\n/.test(text)
    }
    await until('the number of lost lines', read)
    assert.ok(Number(/(\d+) lines of the log/.exec(text)?.[1]) >= 20)
    assert.match(await helper.answer({ chain: 'builtin' }), /^ok /)
    for (const fd of [reader, writer, filler]) closeSync(fd)
    assert.equal(await helper.stop(), 0)
  })
})
