// For the property "splitting the input anywhere changes nothing".
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'

/** Text of the given pieces, as bytes in one to many reads. */
export function inReads(...pieces: readonly string[]): fc.Arbitrary<{ whole: string; reads: Uint8Array[] }> {
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(''))
  return fc.tuple(text, fc.array(fc.nat({ max: 200 }), { maxLength: 12 })).map(([whole, cuts]) => {
    const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].toSorted((a, b) => a - b)
    const reads: Uint8Array[] = []
    let from = 0
    for (const place of [...places, whole.length]) {
      reads.push(bytesOf(whole.slice(from, place)))
      from = place
    }
    return { whole, reads }
  })
}

/** The text byte by byte. */
export function byteByByte(text: string): Uint8Array[] {
  return text.split('').map(bytesOf)
}
