// Descriptors that the account sends with its octets: the process that closes them last waits for as long as the account likes, and that is
// never the server. Linux 6.16 lets the helper refuse them; a build that does not know how shows that it need not.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { within } from '../support/until.ts'
import { account, contents, Fixture, type Helper, isRoot, loginFrame, until } from './fixture.ts'

const BEFORE_6_16 = 'CPPFLAGS=-DSO_PASSRIGHTS=-1'

for (const [kernel, make] of [
  ['this kernel', []],
  ['a kernel that cannot refuse them', [BEFORE_6_16]],
] as const)
  void describe(`descriptors that the account sends, on ${kernel}`, () => {
    let fixture: Fixture
    let helper: Helper
    const senders: ChildProcess[] = []
    before(async () => {
      fixture = new Fixture(make)
      const cc = spawnSync('cc', ['-O1', '-o', join(fixture.folder, 'rights'), 'test/native/rights.c'], {
        encoding: 'utf8',
      })
      assert.equal(cc.status, 0, cc.stderr)
      helper = await fixture.serve()
    })
    after(async () => {
      for (const sender of senders) sender.kill('SIGKILL')
      assert.equal(await helper.stop(), 0)
      fixture.remove()
    })

    const send = async (when: 'first' | 'last' | 'after' | 'accepted', request: Uint8Array): Promise<string> => {
      const hex = Buffer.from(request).toString('hex')
      const sender = spawn(join(fixture.folder, 'rights'), [fixture.socketPath, when, hex], {
        ...account,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      senders.push(sender)
      const said = await Promise.race([once(sender.stdout, 'data'), once(sender.stderr, 'data')])
      return String(said[0])
    }

    for (const when of ['first', 'last', 'after'] as const)
      for (const [what, request] of [
        ['a login', loginFrame({ chain: 'submission' })],
        ['a login that is built in', loginFrame({ chain: 'builtin', password: 'wrong' })],
        ['no request', Buffer.from([0, 0, 0, 1, 0])],
        ['half a request', loginFrame({ chain: 'submission' }).subarray(0, 20)],
      ] as const)
        void test(`${when} octet of ${what}: everybody else is served`, async () => {
          const said = await Promise.all(Array.from({ length: 10 }, async () => send(when, request)))
          if (make.length > 0) assert.ok(said.includes('sent\n'), said.join(''))
          for (let i = 0; i < 5; i++) {
            const answer = helper.answer({ chain: i % 2 === 0 ? 'builtin' : 'submission' })
            assert.match(await within('an answer', answer), /^ok /)
          }
        })

    void test('after the answer, which leaves it to the backends: everybody else is served', async () => {
      const request = loginFrame({ chain: 'submission' })
      const said = await Promise.all(Array.from({ length: 10 }, async () => send('accepted', request)))
      if (make.length > 0) assert.deepEqual(new Set(said), new Set(['sent\n']))
      for (let i = 0; i < 5; i++) {
        const answer = helper.answer({ chain: i % 2 === 0 ? 'builtin' : 'submission' })
        assert.match(await within('an answer', answer), /^ok /)
      }
    })

    void test('no process with root rights outlives the time of a login', async (t) => {
      if (!isRoot) return t.diagnostic('needs root: without it there are none')
      const isRoots = (pid: number) => /^Uid:\t0\t/m.test(contents(`/proc/${pid}/status`))
      // What an accepted session reads, its backend closes, as the user; the process above it waits for it as for any backend.
      const ofRoot = (pid: number) => isRoots(pid) && helper.children(pid).every(isRoots)
      await until('their processes to end', () => !helper.children(helper.server()).some(ofRoot), { timeout: 60_000 })
      assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
    })
  })
