// Lookups in a cdb: what is there is found, and a file that is not a cdb is reported as such, whatever its octets.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { lookUp, MOST_DATA } from '../../src/edge/cdb.ts'
import { cdbOf } from '../support/cdb.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-cdb-'))
after(() => rmSync(dir, { recursive: true }))

function file(octets: Uint8Array): string {
  const path = join(dir, 'a.cdb')
  writeFileSync(path, octets)
  return path
}

void describe('a cdb', () => {
  void it('has what was put into it, the first record of a key, and nothing else', () => {
    const text = fc.string({ unit: 'binary-ascii', maxLength: 20 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 300 }), text, (records, other) => {
        const path = file(cdbOf(records))
        const wanted = new Map(records.toReversed())
        for (const key of [...wanted.keys(), other]) assert.equal(lookUp(path, [key])._unsafeUnwrap(), wanted.get(key))
      }),
      { numRuns: 30 },
    )
  })
  void it('answers with the first of several keys that it has', () => {
    const path = file(
      cdbOf([
        ['*', 'all'],
        ['ann\xfc', 'a@b'],
      ]),
    )
    assert.equal(lookUp(path, ['ann\xfc', '*'])._unsafeUnwrap(), 'a@b')
    assert.equal(lookUp(path, ['bob', '*'])._unsafeUnwrap(), 'all')
  })
  void it('is read as it is now', () => {
    assert.equal(lookUp(file(cdbOf([['ann', 'a']])), ['ann'])._unsafeUnwrap(), 'a')
    assert.equal(lookUp(file(cdbOf([['ann', 'b']])), ['ann'])._unsafeUnwrap(), 'b')
  })
  void it('that is truncated or damaged is an error or has no such key, and does not take long', () => {
    const whole = cdbOf([
      ['ann', 'a@b'],
      ['bob', 'c@d'],
    ])
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, octet) => {
        const damaged = Uint8Array.from(whole)
        damaged[at] = octet
        const found = lookUp(file(damaged.subarray(0, length)), ['ann'])
        assert.ok(found.isErr() || found.value === undefined || found.value.length <= MOST_DATA)
      }),
    )
    const full = Buffer.alloc(2048 + 8 * 2000, 1)
    for (let table = 0; table < 256; table++) {
      full.writeUInt32LE(2048, table * 8)
      full.writeUInt32LE(2000, table * 8 + 4)
    }
    assert.match(lookUp(file(full), ['ann'])._unsafeUnwrapErr(), /it is no cdb: a table has no empty slot/)
  })
  for (const [what, make, problem] of [
    ['that is missing', () => join(dir, 'none'), /^ENOENT$/],
    ['that is empty', () => file(new Uint8Array(0)), /it ends too early/],
    ['that is a folder', () => folder(), /not a regular file|EISDIR/],
    ['that is a FIFO', () => fifo(), /not a regular file/],
    [
      'with a record beyond all bounds',
      () => file(cdbOf([['ann', 'x'.repeat(MOST_DATA + 1)]])),
      /more than 65536 octets/,
    ],
  ] as const)
    void it(`${what} is an error`, () => {
      assert.match(lookUp(make(), ['ann'])._unsafeUnwrapErr(), problem)
    })
})

function folder(): string {
  mkdirSync(join(dir, 'folder'))
  return join(dir, 'folder')
}
function fifo(): string {
  execFileSync('mkfifo', [join(dir, 'fifo')])
  return join(dir, 'fifo')
}
