// A fuzz target in TypeScript: values, and what has to hold for each. Values are JSON, with octets as latin-1 text, so that an example is a
// file in corpus/NAME; what was found there once is run by npm test for ever.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'

/** Throws if the value does not hold. */
export type Check<T> = (value: T) => void | Promise<void>

export interface Scope {
  readonly after: (end: () => unknown) => void
}

export interface Target {
  readonly name: string
  /** What holds, in a sentence. */
  readonly about: string
  /** Opens what its checks need. */
  readonly open: (scope: Scope) => Promise<Opened>
}

export interface Opened {
  readonly arbitrary: fc.Arbitrary<unknown>
  readonly check: Check<unknown>
  /** Its checks are promises. */
  readonly waits: boolean
}

/** A target that needs nothing but its values. */
export const pure = <T>(
  name: string,
  about: string,
  arbitrary: fc.Arbitrary<T>,
  check: (value: T) => void,
): Target => ({
  name,
  about,
  open: () => Promise.resolve({ arbitrary, check: check as Check<unknown>, waits: false }),
})

/** A target whose checks need something that has to be opened, and wait for it. */
export const opened = <T>(
  name: string,
  about: string,
  arbitrary: fc.Arbitrary<T>,
  open: (scope: Scope) => Promise<Check<T>>,
): Target => ({
  name,
  about,
  open: async (scope) => ({ arbitrary, check: (await open(scope)) as Check<unknown>, waits: true }),
})

// ---- examples

export const CORPUS = 'test/fuzz/corpus'

export interface Example {
  readonly file: string
  readonly value: unknown
}

export function examplesOf(name: string): readonly Example[] {
  const folder = join(CORPUS, name)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => ({ file, value: JSON.parse(readFileSync(join(folder, file), 'utf8')) as unknown }))
}

export function keep(name: string, value: unknown): string {
  const text = `${JSON.stringify(value, undefined, 1)}\n`
  const file = join(CORPUS, name, `found-${createHash('sha256').update(text).digest('hex').slice(0, 8)}.json`)
  mkdirSync(join(CORPUS, name), { recursive: true })
  writeFileSync(file, text)
  return file
}

// ---- octets

/** Latin-1 text of these pieces, and of any octets between them. */
export const octets = (pieces: readonly string[], most = 30): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...pieces) },
        { weight: 1, arbitrary: fc.string({ unit: anyOctet, maxLength: 6 }) },
      ),
      { maxLength: most },
    )
    .map((parts) => parts.join(''))

export const anyOctet: fc.Arbitrary<string> = fc.nat({ max: 255 }).map((code) => String.fromCharCode(code))
export const anyOctets = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: anyOctet, maxLength })

/** Sizes of reads, used again from the first when they are over. */
export const sizes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })

export function inPieces(text: string, wanted: readonly number[]): readonly string[] {
  const pieces: string[] = []
  for (let from = 0, next = 0; from < text.length; next += 1) {
    const size = wanted[next % wanted.length] ?? 1
    pieces.push(text.slice(from, from + size))
    from += size
  }
  return pieces
}

export const readsOf = (text: string, wanted: readonly number[]): readonly Uint8Array[] =>
  inPieces(text, wanted).map(bytesOf)
