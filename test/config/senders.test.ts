// control/senders: which senders a user may give, however MAIL spells them.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parseSenders, sendersFor } from '../../src/config/senders.ts'
import { maySend, senderOf } from '../../src/protocol/senders.ts'
import { cdbOf } from '../support/cdb.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-senders-'))
after(() => rmSync(dir, { recursive: true }))

const RULES = `# users
ann ann@example.org *@lists.example.org
root *
* %@example.org
`

function mayGive(text: string | undefined, user: string, argument: string): boolean {
  const found = sendersFor(parseSenders(text, 'control/senders')._unsafeUnwrap(), user)
  return found === undefined || ('unknown' in found.senders ? false : maySend(found.senders, argument))
}

void describe('control/senders', () => {
  for (const [user, argument, wanted] of [
    ['ann', 'FROM:<ann@example.org>', true],
    ['ann', 'from:<ANN@Example.ORG> SIZE=100', true],
    ['ann', 'FROM: <ann@example.org>', true],
    ['ann', 'FROM:<news@lists.example.org>', true],
    ['ann', 'FROM:<news@other.lists.example.org>', false],
    ['ann', 'FROM:<bob@example.org>', false],
    ['ann', 'FROM:<>', true],
    ['ann', 'FROM:<ann>', false],
    ['ann', 'FROM:ann@example.org', false],
    ['ann', 'FROM:<ann@example.org', false],
    ['ann', 'FROM:<@relay.example:ann@example.org>', false],
    ['ann', 'FROM:<"ann"@example.org>', false],
    ['ann', 'FROM:<(bob@evil.example)ann@example.org>', false],
    ['ann', 'FROM:<ann@example.org>bob@evil.example', false],
    ['ann', 'FROM:<bob@evil.example@lists.example.org>', false],
    ['ann', '', false],
    ['bob', 'FROM:<bob@example.org>', true],
    ['Bob', 'FROM:<bob@example.org>', true],
    ['bob', 'FROM:<ann@example.org>', false],
    ['root', 'FROM:<anybody@anywhere.example>', true],
    ['root', 'FROM:anybody@anywhere.example', true],
  ] as const) {
    void it(`${wanted ? 'lets' : 'does not let'} ${user} say MAIL ${argument}`, () => {
      assert.equal(mayGive(RULES, user, argument), wanted)
    })
  }
  void it('restricts nobody without the file; with it, users without a line as well', () => {
    assert.equal(mayGive(undefined, 'bob', 'FROM:<x@evil.example>'), true)
    assert.equal(mayGive('ann ann@example.org\n', 'bob', 'FROM:<bob@example.org>'), false)
    assert.equal(mayGive('ann ann@example.org\n', 'bob', 'FROM:<>'), true)
    assert.equal(mayGive('', 'bob', 'FROM:<bob@example.org>'), false)
  })
  void it('does not restrict guests', () => {
    assert.equal(sendersFor(parseSenders(RULES, 'control/senders')._unsafeUnwrap(), ''), undefined)
  })
  for (const [user, sender, wanted] of [
    ['ann', 'ann@example.org', true],
    ['bob', 'bob@example.org', true],
    ['bob', 'NEWS@lists.example.org', true],
    ['bob', 'carol@example.org', false],
    ['Carol', 'carol@everybody.example', true],
  ] as const)
    void it(`${wanted ? 'lets' : 'does not let'} ${user} of a cdb give ${sender}`, () => {
      const records = [
        ['ann', '*'],
        ['bob', 'Bob@Example.org\t*@lists.example.org'],
        ['*', '%@everybody.example'],
      ] as const
      writeFileSync(join(dir, 'senders.cdb'), cdbOf(records))
      const text = `ann ann@example.org\ncdb:${dir}/senders.cdb\n`
      assert.equal(mayGive(text, user, `FROM:<${sender}>`), wanted)
      assert.equal(mayGive(text, 'ann', 'FROM:<x@evil.example>'), false)
      assert.equal(mayGive(`${text}* nobody@example.org\n`, 'Carol', 'FROM:<carol@everybody.example>'), false)
    })
  void it('reports that a missing cdb cannot answer', () => {
    const found = sendersFor(parseSenders('cdb:/nowhere/senders.cdb\n', 'control/senders')._unsafeUnwrap(), 'ann')
    assert.deepEqual([found?.line, found?.senders], [1, { unknown: '/nowhere/senders.cdb: ENOENT' }])
  })
  for (const [text, wanted] of [
    ['cdb:senders.cdb', '1:1 `senders.cdb` is not an absolute path'],
    ['cdb:/a\ncdb:/b', '2:1 there are two lines that name a cdb'],
    ['ann', '1:1 `ann` has no address'],
    ['ann a@b a@b@c', '1:9 `a@b@c` is not an address'],
    ['ann *.example.org', '1:5 `*.example.org` is not an address'],
    ['ann a@*', '1:5 `a@*` is not an address'],
    ['ann a@b\nann c@d', '2:1 there are two lines for ann'],
  ] as const) {
    void it(`does not take ${JSON.stringify(text)}`, () => {
      const errors = parseSenders(`${text}\n`, 'control/senders')._unsafeUnwrapErr()
      assert.deepEqual(
        errors.map(({ line, column, problem }) => `${line}:${column} ${problem}`),
        [wanted],
      )
    })
  }
  void it('reads a path as every mail program does, or not at all', () => {
    assert.equal(senderOf('FROM:<Ann@Example.org>\tBODY=8BITMIME'), 'ann@example.org')
    assert.equal(senderOf('TO:<ann@example.org>'), undefined)
  })
})
