// However a client cuts a message into chunks, and however they are read, the backend receives what it would for the same message by DATA.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { bytesOf, concat, textOf } from '../../src/protocol/bytes.ts'
import type { BareLineEnd, BodyFault } from '../../src/protocol/end-of-data.ts'
import { createLineEndSearch } from '../../src/protocol/line-ends.ts'
import { BodyCarrier } from '../../src/session/body.ts'

const search = createLineEndSearch()

interface Carried {
  /** What the backend receives; of a refused message it sees no end. */
  readonly backend: string
  readonly fault: BodyFault
  /** After the message. */
  readonly rest: string
}

function carrier(bare: BareLineEnd) {
  const written: Uint8Array[] = []
  const ended: { rest: string; fault: BodyFault }[] = []
  const body = new BodyCarrier(bare, search, {
    write: (pieces) => written.push(...pieces.map((piece) => Uint8Array.from(piece))),
    cut: () => undefined,
    show: undefined,
    ended: (rest, fault) => ended.push({ rest: textOf(rest), fault }),
  })
  return { body, ended, backend: () => textOf(concat(written)) }
}

/** As a strict client sends it (RFC 5321 section 4.5.2). */
const inData = (message: string): string =>
  `${message.replace(/(^|\r\n)\./g, '$1..')}${message === '' || message.endsWith('\r\n') ? '' : '\r\n'}.\r\n`

function byData(message: string, bare: BareLineEnd): Carried {
  const { body, ended, backend } = carrier(bare)
  body.begin({
    do: 'body',
    rest: bytesOf(`${inData(message)}NOOP\r\n`),
    octets: undefined,
    as: 'itself',
    last: true,
    from: undefined,
  })
  const [{ rest, fault } = { rest: '', fault: 'none' as const }] = ended
  assert.equal(ended.length, 1)
  return { backend: backend(), fault, rest }
}

/** `reads`: octets of each read of a chunk, used cyclically; empty: a chunk is one read. */
function byChunks(chunks: readonly string[], bare: BareLineEnd, reads: readonly number[]): Carried {
  const { body, ended, backend } = carrier(bare)
  let next = 0
  for (const [number, chunk] of chunks.entries()) {
    const last = number === chunks.length - 1
    let left = last ? `${chunk}NOOP\r\n` : chunk
    body.begin({ do: 'body', rest: bytesOf(''), octets: chunk.length, as: 'data', last, from: undefined })
    while (ended.length <= number) {
      const size = reads.length === 0 ? left.length : Math.max(reads[next++ % reads.length] ?? 1, 1)
      body.carry(bytesOf(left.slice(0, size)))
      left = left.slice(size)
    }
    const end = ended[number]
    if (last || end?.fault !== 'none')
      return { backend: backend(), fault: end?.fault ?? 'none', rest: (end?.rest ?? '') + left }
  }
  throw new Error('there is no last chunk')
}

/** Of a refused message, what had arrived is written, and its client may be stopped at an earlier chunk. */
const comparable = (carried: Carried): Carried =>
  carried.fault === 'none' ? carried : { ...carried, backend: '', rest: '' }

const HAZARDS = [
  '.',
  '..',
  '\r',
  '\n',
  '\r\n',
  '\r\n.',
  '\r\n.\r\n',
  '\n.\n',
  '\r.\r',
  '\0',
  ' ',
  '\xff',
  'text',
  '\r\n.\0',
  '. ',
]
const message = fc.array(fc.constantFrom(...HAZARDS), { maxLength: 20 }).map((parts) => parts.join(''))

function cutAt(text: string, places: readonly number[]): readonly string[] {
  const cuts = places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b)
  return [0, ...cuts].map((from, i) => text.slice(from, cuts[i] ?? text.length))
}

for (const bare of ['fix', 'refuse'] as const)
  void describe(`chunks for a backend without CHUNKING, barelineend ${bare}`, () => {
    void it('are the same message as by DATA, at every boundary', () => {
      const text = 'Subject: x\r\n\r\n.\r\n..\r\na.b\r\n.c\r\n\xe9\r\n'
      for (const whole of [text, text.slice(0, -2), text.slice(0, -1), '', '.', '\r\n', ...HAZARDS]) {
        const expected = comparable(byData(whole, bare))
        for (let first = 0; first <= whole.length; first++)
          for (let second = first; second <= whole.length; second++)
            assert.deepEqual(comparable(byChunks(cutAt(whole, [first, second]), bare, [])), expected)
        assert.deepEqual(comparable(byChunks([...whole.split(''), ''], bare, [])), expected)
      }
    })

    void it('are the same message as by DATA, whatever is in it and however it is cut and read', () => {
      fc.assert(
        fc.property(
          message,
          fc.array(fc.nat({ max: 200 }), { maxLength: 10 }),
          fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 }),
          (whole, places, reads) => {
            const got = byChunks(cutAt(whole, places), bare, reads)
            assert.deepEqual(comparable(got), comparable(byData(whole, bare)))
            // The message has one end for a backend that takes any LF for a line end, and a refused one has none.
            const ends = [...`\n${got.backend}`.matchAll(/\n\.\r?\n/g)].length
            assert.equal(ends, got.fault === 'none' ? 1 : 0)
          },
        ),
        { numRuns: 2000 },
      )
    })

    void it('leave nothing over for the next message', () => {
      const { body, ended, backend } = carrier(bare)
      const chunk = (text: string, last: boolean) =>
        body.begin({ do: 'body', rest: bytesOf(text), octets: text.length, as: 'data', last, from: undefined })
      chunk('a', true)
      chunk('.', false)
      chunk('\r\n', true)
      assert.equal(backend(), 'a\r\n.\r\n..\r\n.\r\n')
      assert.deepEqual(
        ended,
        Array.from({ length: 3 }, () => ({ rest: '', fault: 'none' })),
      )
    })
  })
