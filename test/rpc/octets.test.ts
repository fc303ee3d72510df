// Octets inside, UTF-8 with \xNN on the wire.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { globMatches } from '../../src/contract/pages.ts'
import { readGlob, readOctets, shown, shownOctets } from '../../src/rpc/octets.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const latin1 = (utf8: string): string => Buffer.from(utf8).toString('latin1')

/** Any octets, often UTF-8 in part, and what is easily mistaken for an escape. */
const octets = fc
  .array(
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }).map(latin1),
      fc.constantFrom('\\', '\\x41', '\\*', '*', '?', '\u00ef\u00bb\u00bf'),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(''))

/** A user name as a helper accepts it. */
const names = octets.map((name) => name.replaceAll('\0', 'o'))

void describe('octets on the wire', () => {
  for (const [inside, outside] of [
    ['plain', 'plain'],
    [latin1('Zoë'), 'Zoë'],
    [latin1('日本 😀'), '日本 😀'],
    ['Zo\u00eb', 'Zo\\xeb'],
    ['a\\b', 'a\\\\b'],
    ['\\x41', '\\\\x41'],
    ['\u00c0\u0080', '\\xc0\\x80'],
    ['\u00ed\u00a0\u0080', '\\xed\\xa0\\x80'],
    ['\u00f4\u0090\u0080\u0080', '\\xf4\\x90\\x80\\x80'],
  ] as const)
    void it(`shows ${outside}`, () => {
      assert.equal(shownOctets(inside), outside)
      assert.equal(readOctets(outside), inside)
    })

  void it('takes a backslash that begins no escape literally', () => {
    assert.equal(readOctets('a\\b \\xg1 \\'), 'a\\b \\xg1 \\')
  })

  void it('gives back whatever octets were shown, as a text and as a glob', () => {
    fc.assert(
      fc.property(octets, (text) => {
        assert.equal(readOctets(shownOctets(text)), text)
        assert.ok(globMatches(readGlob(shownOctets(text)), text))
      }),
    )
  })

  void it('lets a glob name its own characters', () => {
    assert.ok(globMatches(readGlob('a\\*'), 'a*'))
    assert.ok(!globMatches(readGlob('a\\*'), 'ab'))
    assert.ok(!globMatches(readGlob('\\x2a'), 'b'))
    assert.ok(globMatches(readGlob('\\?\\\\'), '?\\'))
    assert.ok(!globMatches(readGlob('\\?'), 'a'))
  })

  void it('shows every text inside a value', () => {
    assert.deepEqual(shown({ a: ['\u00eb', 1, { b: '\\' }], c: undefined }), {
      a: ['\\xeb', 1, { b: '\\\\' }],
      c: undefined,
    })
  })
})

void describe('over the daemon', () => {
  void it('the sessions of a blocked user Zoë are ended, and she cannot log in', async (t) => {
    const { host, control } = await fixture(t)
    const zoe = await host.login(latin1('Zoë'), 1)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const listed = await client.call('session.list', { user: 'Zo?*', fields: ['user'] })
    assert.equal(listed.result.sessions[0].user, 'Zoë')
    const tried = await client.call('session.kill', { user: 'Zoë', dryRun: true })
    assert.equal(tried.result.matched, 1)
    const blocked = await client.call('user.block', { user: 'Zoë', reason: 'naïve' })
    assert.equal(blocked.result.ended, 1)
    assert.equal(blocked.result.user, 'Zoë')
    await until('the end of the session', () => zoe.closed())
    const tested = await client.call('auth.test', { user: 'Zoë', password: 'x' })
    assert.equal(tested.result.verdict, 'blocked')
    const users = await client.call('user.list', { user: 'Zoë' })
    assert.equal(users.result.users[0].blocked.reason, 'naïve')
  })

  void it('a text has the same sha256 on disk and as a parameter, and no difference', async (t) => {
    const { host, control } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    await fc.assert(
      fc.asyncProperty(octets, async (text) => {
        writeFileSync(join(host.directory, 'pop3greeting'), Buffer.from(`${text}\n`, 'latin1'))
        const files = { pop3greeting: shownOctets(`${text}\n`) }
        const disk = await client.call('config.check')
        const given = await client.call('config.check', { files })
        assert.deepEqual(given.result, disk.result)
        const [onDisk, asGiven] = [await client.call('config.diff'), await client.call('config.diff', { files })]
        assert.deepEqual(onDisk.result, asGiven.result)
        const added = onDisk.result.files.flatMap((file: Json) => file.lines).filter((line: Json) => line.op === '+')
        const shownText = added.map((line: Json) => readOctets(line.text)).join('\n')
        assert.equal(shownText.replace(/\n+$/, ''), text.replace(/\n+$/, ''))
      }),
      { numRuns: 30 },
    )
  })

  void it('any name and any text goes through every method that takes one, and comes back', async (t) => {
    const { control } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    await fc.assert(
      fc.asyncProperty(names, async (octetsOfName) => {
        const user = shownOctets(octetsOfName)
        const called = async (method: string, params: object): Promise<Json> => {
          const answer = await client.call(method, params)
          assert.ok('result' in answer, JSON.stringify(answer))
          return answer.result
        }
        assert.equal((await called('user.block', { user, reason: user, ttl: 60 })).user, user)
        const { users } = await called('user.list', { user })
        const row = users.find((one: Json) => one.user === user)
        assert.equal(row.blocked.reason, user)
        assert.equal((await called('auth.test', { user, password: 'x' })).verdict, 'blocked')
        const { operations } = await called('op.list', {})
        assert.equal(operations.find((one: Json) => one.subject === user).reason, user)
        assert.equal((await called('user.unblock', { user })).blocked, false)
        assert.equal((await called('session.kill', { user, dryRun: true, id: 'none' })).matched, 0)
        assert.equal((await called('session.list', { user, id: 'none' })).matched, 0)
        const line = user.replace(/[\r\n]/g, ' ')
        const text = `:noop::250*::250 ${line.replace(/[:\s]/g, '_')}\n`
        const evaluated = await called('rules.eval', { event: 'noop', request: line, reply: '250 x', text })
        assert.equal(evaluated.request, line)
        assert.equal(evaluated.reply.trimEnd(), text.slice(':noop::250*::'.length, -1).trimEnd())
        const missing = await client.call('user.unblock', { user })
        assert.equal(missing.error.message, `${user} is not blocked`)
      }),
      { numRuns: 60 },
    )
  })
})
