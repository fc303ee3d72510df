import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, concat, textOf } from '../../src/protocol/bytes.ts'
import { type BareLineEnd, bodyStart, scanBody } from '../../src/protocol/end-of-data.ts'
import { byteByByte, inReads } from './splits.ts'

interface Scanned {
  readonly out: string
  /** What stands behind the final dot line; undefined: it has not come. */
  readonly rest: string | undefined
  readonly bareSeen: boolean
}

function scan(reads: readonly Uint8Array[], bare: BareLineEnd): Scanned {
  let state = bodyStart
  let bareSeen = false
  const out: Uint8Array[] = []
  for (const [at, read] of reads.entries()) {
    const scanned = scanBody(state, read, bare)
    state = scanned.state
    bareSeen = scanned.bareSeen
    out.push(...scanned.out)
    if (scanned.end !== undefined) {
      const rest = textOf(concat([read.subarray(scanned.end), ...reads.slice(at + 1)]))
      return { out: textOf(concat(out)), rest, bareSeen }
    }
  }
  return { out: textOf(concat(out)), rest: undefined, bareSeen }
}

const CASES: readonly (readonly [
  hazard: string,
  input: string,
  out: string,
  rest: string | undefined,
  refused: string,
])[] = [
  // hazard, what the client sends, what the backend gets with 'fix', what is left; with 'refuse' the backend gets this and no more
  ['a message ends with CR LF . CR LF', 'a\r\n.\r\nNOOP\r\n', 'a\r\n.\r\n', 'NOOP\r\n', 'a\r\n.\r\n'],
  ['an empty message is a dot line', '.\r\n', '.\r\n', '', '.\r\n'],
  [
    'a dot with something behind it is no end',
    '..\r\n.x\r\n. \r\n.\r\n',
    '..\r\n.x\r\n. \r\n.\r\n',
    '',
    '..\r\n.x\r\n. \r\n.\r\n',
  ],
  ['a dot inside a line is no end', 'abc.\r\n.\r\n', 'abc.\r\n.\r\n', '', 'abc.\r\n.\r\n'],
  ['NUL and eight bits come through', '\0\xff\r\n.\r\n', '\0\xff\r\n.\r\n', '', '\0\xff\r\n.\r\n'],
  ['LF . CR LF is no end for anybody', 'a\n.\r\nb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a'],
  ['CR . CR LF is no end for anybody', 'a\r.\r\nb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a'],
  ['LF . LF is no end for anybody', 'a\n.\nb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a'],
  ['CR . CR is no end for anybody', 'a\r.\rb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a'],
  ['CR LF . LF is no end for anybody', 'a\r\n.\nb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a\r\n'],
  ['CR LF . CR is no end for anybody', 'a\r\n.\rb\r\n.\r\n', 'a\r\n..\r\nb\r\n.\r\n', '', 'a\r\n'],
  ['CR LF . CR CR LF is no end for anybody', 'a\r\n.\r\r\nb\r\n.\r\n', 'a\r\n..\r\n\r\nb\r\n.\r\n', '', 'a\r\n'],
  ['LF LF . CR LF is no end for anybody', '\n\n.\r\nb\r\n.\r\n', '\r\n\r\n..\r\nb\r\n.\r\n', '', ''],
  ['CR CR LF . CR LF is an end for all', 'a\r\r\n.\r\n', 'a\r\n\r\n.\r\n', '', 'a'],
  ['LF CR LF . CR LF is an end for all', 'a\n\r\n.\r\n', 'a\r\n\r\n.\r\n', '', 'a'],
  ['. LF at the very start is no end', '.\nb\r\n.\r\n', '..\r\nb\r\n.\r\n', '', ''],
  ['LF . at the very start is stuffed', '\n.b\r\n.\r\n', '\r\n..b\r\n.\r\n', '', ''],
  ['CR at the end of what has come waits for LF', 'a\r', 'a\r', undefined, 'a\r'],
  ['CR behind a lone dot is held back', 'a\r\n.\r', 'a\r\n.', undefined, 'a\r\n.'],
  ['a message of nothing but LF never ends', 'a\n.\n', 'a\r\n..\r\n', undefined, 'a'],
]

for (const [hazard, input, out, rest, refused] of CASES) {
  void test(hazard, () => {
    for (const reads of [[bytesOf(input)], byteByByte(input)]) {
      const fixed = scan(reads, 'fix')
      assert.deepEqual([fixed.out, fixed.rest], [out, rest])
      const cut = scan(reads, 'refuse')
      assert.deepEqual([cut.rest, cut.bareSeen], [rest, fixed.bareSeen])
      // Byte by byte a CR or a dot has left before the byte that shows it to be bare.
      if (reads.length === 1) assert.equal(cut.out, refused)
      else
        assert.ok(
          cut.out.startsWith(refused) && /^\.?\r?$/.test(cut.out.slice(refused.length)),
          JSON.stringify(cut.out),
        )
    }
  })
}

const PIECES = ['\r\n.\r\n', '\r\n', '\r', '\n', '.', 'a', '\n.\r\n', '\r\n.', 'bc', '.\r']

/** The strict reading of what the client sends: where the message ends, or undefined. */
function endOf(input: string): number | undefined {
  const at = `\r\n${input}`.indexOf('\r\n.\r\n')
  return at < 0 ? undefined : at + 3
}

/** Where a backend that takes CR, LF and CR LF for line ends sees a line of a lone dot. */
function laxEndOf(out: string): number | undefined {
  const match = /(?:^|\r\n|\r|\n)\.(?:\r\n|\r|\n)/.exec(out)
  return match === null ? undefined : match.index + match[0].length
}

void test('splitting a message anywhere changes nothing', () => {
  fc.assert(
    fc.property(inReads(...PIECES), ({ whole, reads }) => {
      assert.deepEqual(scan(reads, 'fix'), scan([bytesOf(whole)], 'fix'))
      const cut = scan(reads, 'refuse')
      const atOnce = scan([bytesOf(whole)], 'refuse')
      assert.deepEqual([cut.rest, cut.bareSeen], [atOnce.rest, atOnce.bareSeen])
    }),
    { numRuns: 3000 },
  )
})

void test('where a read lies in memory, and what lies around it, changes nothing', () => {
  const long = fc.integer({ min: 0, max: 70 }).map((length) => 'x'.repeat(length))
  fc.assert(
    fc.property(
      fc.array(fc.oneof(long, fc.constantFrom(...PIECES))),
      fc.constantFrom('\r', '\n', '.', 'x', '\xff'),
      (pieces, around) => {
        const whole = pieces.join('')
        const [first, ...others] = [0, 1, 2, 3].map((offset) => {
          const memory = bytesOf(around.repeat(whole.length + 8))
          memory.set(bytesOf(whole), offset)
          return (['fix', 'refuse'] as const).map((bare) =>
            scan([memory.subarray(offset, offset + whole.length)], bare),
          )
        })
        for (const other of others) assert.deepEqual(other, first)
        assert.deepEqual(scan(byteByByte(whole), 'fix'), first?.[0])
      },
    ),
    { numRuns: 3000 },
  )
})

void test('the client, acceptd, a strict and a lax backend agree where a message ends', () => {
  fc.assert(
    fc.property(inReads(...PIECES), ({ whole, reads }) => {
      const end = endOf(whole)
      for (const bare of ['fix', 'refuse'] as const) {
        const { out, rest, bareSeen } = scan(reads, bare)
        assert.equal(rest, end === undefined ? undefined : whole.slice(end))
        const cut = bare === 'refuse' && bareSeen
        assert.equal(endOf(out), end === undefined || cut ? undefined : out.length, 'strict')
        assert.equal(laxEndOf(out), end === undefined || cut ? undefined : out.length, 'lax')
        if (!cut) assert.doesNotMatch(out, /\r(?!\n|$)|(?<!\r)\n/)
      }
    }),
    { numRuns: 5000 },
  )
})

void test('the backend files the lines that the client wrote, bare line ends made CR LF and no dot lost', () => {
  fc.assert(
    fc.property(inReads(...PIECES), ({ whole, reads }) => {
      const end = endOf(whole)
      fc.pre(end !== undefined)
      const { out } = scan(reads, 'fix')
      const sent = whole.slice(0, (end ?? 0) - 3)
      const written = sent
        .split('\r\n')
        .map((line) => line.replace(/^\.(?![\r\n])/, '').replaceAll(/\r\n|\r|\n/g, '\r\n'))
      const filed = out
        .slice(0, -3)
        .split('\r\n')
        .map((line) => line.replace(/^\./, ''))
      assert.equal(filed.join('\r\n'), written.join('\r\n'))
    }),
    { numRuns: 5000 },
  )
})

void test('a clean read is handed on as it is, not copied', () => {
  const read = bytesOf(`${'x'.repeat(70)}\r\n`.repeat(100))
  const scanned = scanBody(bodyStart, read, 'fix')
  assert.equal(scanned.out.length, 1)
  assert.equal(scanned.out[0], read)
})

void test('a refused message gives the backend nothing more, in later reads either', () => {
  const first = scanBody(bodyStart, bytesOf('a\nb\r\n'), 'refuse')
  assert.deepEqual(first.out.map(textOf), ['a'])
  assert.equal(first.bareSeen, true)
  const second = scanBody(first.state, bytesOf('c\r\n.\r\nRSET\r\n'), 'refuse')
  assert.deepEqual([second.out, second.end, second.bareSeen], [[], 6, true])
})
