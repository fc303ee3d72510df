import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, concat, textOf } from '../../src/protocol/bytes.ts'
import { type BareLineEnd, type BodyFault, bodyStart, scanBody } from '../../src/protocol/end-of-data.ts'
import { createLineEndSearch } from '../../src/protocol/line-ends.ts'
import { byteByByte, inReads } from './splits.ts'

const search = createLineEndSearch()

interface Scanned {
  readonly out: string
  /** What follows the final dot line; undefined: it has not come. */
  readonly rest: string | undefined
  readonly fault: BodyFault
}

function scan(reads: readonly Uint8Array[], bare: BareLineEnd): Scanned {
  let state = bodyStart
  let fault: BodyFault = 'none'
  const out: Uint8Array[] = []
  for (const [at, read] of reads.entries()) {
    const scanned = scanBody(state, read, bare, search)
    state = scanned.state
    fault = scanned.fault
    out.push(...scanned.out)
    if (scanned.end !== undefined) {
      const rest = textOf(concat([read.subarray(scanned.end), ...reads.slice(at + 1)]))
      return { out: textOf(concat(out)), rest, fault }
    }
  }
  return { out: textOf(concat(out)), rest: undefined, fault }
}

const CASES: readonly (readonly [
  hazard: string,
  input: string,
  out: string,
  rest: string | undefined,
  refused: string,
])[] = [
  // hazard, what the client sends, what the backend receives with 'fix', what is left; with 'refuse' the backend receives this and no more
  ['a message ends with CR LF . CR LF', 'a\r\n.\r\nNOOP\r\n', 'a\r\n.\r\n', 'NOOP\r\n', 'a\r\n.\r\n'],
  ['an empty message is a dot line', '.\r\n', '.\r\n', '', '.\r\n'],
  [
    'a dot with something after it is no end',
    '..\r\n.x\r\n.  x\r\n.\r\n',
    '..\r\n.x\r\n.  x\r\n.\r\n',
    '',
    '..\r\n.x\r\n.  x\r\n.\r\n',
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
  ['CR after a lone dot is held back', 'a\r\n.\r', 'a\r\n.', undefined, 'a\r\n.'],
  ['CR LF . NUL is no end for anybody', 'a\r\n.\0x\r\n.\r\n', 'a\r\n..\0x\r\n.\r\n', '', 'a\r\n..\0x\r\n.\r\n'],
  ['CR LF . blank is no end for anybody', 'a\r\n. \r\n.\r\n', 'a\r\n.. \r\n.\r\n', '', 'a\r\n.. \r\n.\r\n'],
  ['CR LF . and a high octet is no end for anybody', '.\x8d\r\n.\r\n', '..\x8d\r\n.\r\n', '', '..\x8d\r\n.\r\n'],
  ['a message of nothing but LF never ends', 'a\n.\n', 'a\r\n..\r\n', undefined, 'a'],
]

for (const [hazard, input, out, rest, refused] of CASES) {
  void test(hazard, () => {
    for (const reads of [[bytesOf(input)], byteByByte(input)]) {
      const fixed = scan(reads, 'fix')
      assert.deepEqual([fixed.out, fixed.rest], [out, rest])
      const cut = scan(reads, 'refuse')
      assert.equal(cut.rest, rest)
      assert.equal(cut.fault, refused === out ? 'none' : 'bare-line-end')
      // Byte by byte, a CR or a dot has been sent on before the byte that shows it to be bare.
      if (reads.length === 1) assert.equal(cut.out, refused)
      else
        assert.ok(
          cut.out.startsWith(refused) && /^\.?\r?$/.test(cut.out.slice(refused.length)),
          JSON.stringify(cut.out),
        )
    }
  })
}

const PIECES = ['\r\n.\r\n', '\r\n', '\r', '\n', '.', 'a', '\n.\r\n', '\r\n.', 'bc', '.\r', '\0', ' ', '\xff']

/** The strict reading of what the client sends: where the message ends, or undefined. */
function endOf(input: string): number | undefined {
  const at = `\r\n${input}`.indexOf('\r\n.\r\n')
  return at < 0 ? undefined : at + 3
}

/** What follows the line that a backend takes for the end of the message; undefined: it has seen no end. */
type Reading = (out: string) => string | undefined

const behind =
  (end: RegExp): Reading =>
  (out) => {
    const match = end.exec(out)
    return match === null ? undefined : out.slice(match.index + match[0].length)
  }

const strictly: Reading = (out) => {
  const end = endOf(out)
  return end === undefined ? undefined : out.slice(end)
}

/** fgets(3) of `size` octets and C strings, as msmtpd: a piece with a NUL in it does not go on, since it has no line end and is not full. */
function byStrings(size: number): Reading {
  return (out) => {
    let goesOn = false
    for (let at = 0; at < out.length; ) {
      const end = out.indexOf('\n', at) + 1
      const piece = out.slice(at, Math.min(end === 0 ? out.length : end, at + size - 1))
      at += piece.length
      const text = piece.replace(/\0.*$/s, '')
      const starts = !goesOn
      goesOn = text.length === size - 1 && !text.endsWith('\n')
      if (starts && /^\.\r?\n?$/.test(text) && at <= out.length && (text.endsWith('\n') || text !== piece))
        return out.slice(at)
    }
    return undefined
  }
}

const READINGS: readonly (readonly [name: string, reading: Reading])[] = [
  ['strict', strictly],
  ['CR, LF and CR LF end a line', behind(/(?:^|\r\n|\r|\n)\.(?:\r\n|\r|\n)/)],
  [
    'LF ends a line, white space, controls and high octets after the dot are trimmed',
    behind(/(?:^|\n)\.[\0-\x20\x7f-\xa0\xff]*?\n/),
  ],
  ['NULs are dropped', (out) => strictly(out.replaceAll('\0', ''))],
  ['C strings of 8 octets', byStrings(8)],
  ['C strings of 13 octets', byStrings(13)],
  ['C strings of 1024 octets', byStrings(1024)],
]

const BEFORE = [
  '',
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  '\n\r',
  '\n\r\n',
  '\0\r\n',
  '\0\n',
  '\r\0\n',
  '\v',
  '\f',
  '\x85',
  '\x8d\x8a',
]
const BEHIND = [
  '',
  '\0',
  '\0\0',
  ' ',
  ' \t ',
  '\t',
  '\v',
  '\f',
  '\x1a',
  '\x7f',
  '\x80',
  '\x85',
  '\x8a',
  '\x8d',
  '\xa0',
  '\xff',
  '.',
  '..',
  'x',
  '\0.',
  '.\0',
  ' .',
  '\0 x',
]
const AFTER = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', '\0\r\n', '\r\0\n', '\x8d\x8a']

void test('whatever comes before a dot and after it, every backend sees the end that the client means, or none', () => {
  const lines = [
    '',
    'a',
    '\0',
    'a\0',
    'a\0.',
    `\0${'x'.repeat(1022)}`,
    `a\0${'x'.repeat(1020)}`,
    'x'.repeat(1023),
    '\0.....',
    `\0${'.'.repeat(2000)}`,
  ]
  for (const line of lines)
    for (const before of BEFORE)
      for (const following of BEHIND)
        for (const after of AFTER)
          for (const bare of ['fix', 'refuse'] as const) {
            const input = `${line}${before}.${following}${after}MAIL FROM:<smuggled@b>\r\n.\r\nQUIT\r\n`
            const end = endOf(input) ?? assert.fail()
            const { out, rest, fault } = scan([bytesOf(input)], bare)
            assert.equal(rest, input.slice(end))
            for (const [name, leftOf] of READINGS)
              assert.equal(leftOf(out), fault === 'none' ? '' : undefined, `${bare}, ${name}: ${JSON.stringify(input)}`)
            if (line.length > 9) continue
            const slowly = scan(byteByByte(input), bare)
            assert.deepEqual([slowly.rest, slowly.fault], [rest, fault])
            if (fault === 'none') assert.equal(slowly.out, out)
            else for (const [name, leftOf] of READINGS) assert.equal(leftOf(slowly.out), undefined, name)
          }
})

void test('splitting a message anywhere changes nothing', () => {
  fc.assert(
    fc.property(inReads(...PIECES), ({ whole, reads }) => {
      assert.deepEqual(scan(reads, 'fix'), scan([bytesOf(whole)], 'fix'))
      const cut = scan(reads, 'refuse')
      const atOnce = scan([bytesOf(whole)], 'refuse')
      assert.deepEqual([cut.rest, cut.fault], [atOnce.rest, atOnce.fault])
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
        const { out, rest, fault } = scan(reads, bare)
        assert.equal(rest, end === undefined ? undefined : whole.slice(end))
        const cut = fault !== 'none'
        for (const [name, leftOf] of READINGS)
          assert.equal(leftOf(out), end === undefined || cut ? undefined : '', `${name}: ${JSON.stringify(out)}`)
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
      const { out, fault } = scan(reads, 'fix')
      fc.pre(fault === 'none')
      const sent = whole.slice(0, (end ?? 0) - 3)
      const written = sent
        .split('\r\n')
        .map((line) => line.replace(/^\.(?= *[!-~])/, '').replaceAll(/\r\n|\r|\n/g, '\r\n'))
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
  const scanned = scanBody(bodyStart, read, 'fix', search)
  assert.equal(scanned.out.length, 1)
  assert.equal(scanned.out[0], read)
})

void test('a dot that ends a line with a NUL in it is refused with either setting, and not sent on', () => {
  for (const bare of ['fix', 'refuse'] as const)
    for (const reads of [[bytesOf('a\0b.\r\nc\r\n.\r\nNOOP\r\n')], byteByByte('a\0b.\r\nc\r\n.\r\nNOOP\r\n')])
      assert.deepEqual(scan(reads, bare), { out: 'a\0b', rest: 'NOOP\r\n', fault: 'dot-after-nul' })
})

void test('of a refused message the backend receives nothing more, in later reads either', () => {
  const first = scanBody(bodyStart, bytesOf('a\nb\r\n'), 'refuse', search)
  assert.deepEqual(first.out.map(textOf), ['a'])
  assert.equal(first.fault, 'bare-line-end')
  const second = scanBody(first.state, bytesOf('c\r\n.\r\nRSET\r\n'), 'refuse', search)
  assert.deepEqual([second.out, second.end, second.fault], [[], 6, 'bare-line-end'])
})
