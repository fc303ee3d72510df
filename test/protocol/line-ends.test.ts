import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { moduleText } from '../../scripts/wasm.ts'
import { createLineEndSearch, findSlowly, READ_OCTETS } from '../../src/protocol/line-ends.ts'

const search = createLineEndSearch()

/** Octets that matter here, each as likely as all the others together. */
const octets = (most: number) =>
  fc.array(fc.oneof(fc.constantFrom(0, 10, 13, 46), fc.constantFrom(1, 65, 11, 12, 138, 255)), { maxLength: most })

void test('the search by sixteens finds what the search by ones finds, from every starting point', () => {
  fc.assert(
    fc.property(octets(300), fc.boolean(), fc.nat(200), (list, atStart, clean) => {
      const read = Uint8Array.from([...Array<number>(clean).fill(97), ...list])
      const next = search.findings(read, atStart)
      for (let from = 0; from <= read.length; from++)
        assert.equal(next(from), findSlowly(read, from, atStart), `from ${from}`)
    }),
    { numRuns: 300 },
  )
})

void test('a search does not see what an earlier read left in memory', () => {
  search.findings(new Uint8Array(4096).fill(10), false)(0)
  const clean = new Uint8Array(100).fill(97)
  assert.equal(search.findings(clean, true)(0), 100)
})

void test('a read in a buffer of the search is searched where it is, and nothing in it is changed', () => {
  const buffers = search.readBuffers()
  assert.ok(buffers.length > 1)
  fc.assert(
    fc.property(octets(300), fc.boolean(), fc.nat(200), fc.nat(buffers.length - 1), (list, atStart, clean, n) => {
      for (const buffer of buffers) buffer.fill(46)
      const buffer = buffers[n] ?? assert.fail()
      const read = Uint8Array.from([...Array<number>(clean).fill(97), ...list])
      buffer.set(read)
      // Only a read that begins where the buffer does is in place; any other is copied, since the octet before it belongs to another.
      for (const start of [0, 1]) {
        const view = buffer.subarray(start, read.length)
        const next = search.findings(view, atStart)
        for (let from = 0; from <= view.length; from++)
          assert.equal(next(from), findSlowly(view, from, atStart), `from ${from}`)
      }
      assert.deepEqual(buffer.subarray(0, read.length), read)
      for (const other of buffers) if (other !== buffer) assert.ok(other.every((octet) => octet === 46))
    }),
    { numRuns: 30 },
  )
})

void test('a read of any length is searched to its end', () => {
  for (const length of [0, 1, 63, 64, 65, READ_OCTETS, READ_OCTETS + 1]) {
    const read = new Uint8Array(length).fill(97)
    assert.equal(search.findings(read, false)(0), length)
    if (length === 0) continue
    read[length - 1] = 10
    assert.equal(search.findings(read, false)(0), length - 1)
  }
})

void test('line-ends-wasm.ts is what scripts/wasm.ts makes of line-ends.wat', async () => {
  assert.equal(readFileSync('src/protocol/line-ends-wasm.ts', 'utf8'), await moduleText())
})
