// Pseudo-random numbers that are the same for the same seed, so that a run can be repeated.

export interface Random {
  /** An integer from 0 to `n` - 1. */
  readonly below: (n: number) => number
  /** A whole number from `least` to `most`. */
  readonly between: (least: number, most: number) => number
  readonly pick: <T>(list: readonly T[]) => T
  readonly shuffled: <T>(list: readonly T[]) => readonly T[]
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (const character of text) value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193)
  return value >>> 0
}

/** Of any words and numbers: the same ones give the same numbers. The generator is mulberry32. */
export function randomOf(...seed: readonly (string | number)[]): Random {
  let state = hash(seed.join(' '))
  const below = (n: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n)
  }
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    pick: <T>(list: readonly T[]): T => {
      if (list.length === 0) throw new Error('there is nothing to pick from')
      return list[below(list.length)] as T
    },
    shuffled: <T>(list: readonly T[]): readonly T[] =>
      list
        .map((one) => ({ one, order: below(2 ** 30) }))
        .toSorted((a, b) => a.order - b.order)
        .map(({ one }) => one),
  }
}
