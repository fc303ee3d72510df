// The name that somebody may have meant who wrote another.

/** The first of the names that are nearest, if it is at most two slips away. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = 3
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue
    const away = distance(word, name)
    if (away < least) {
      least = away
      best = name
    }
  }
  return best
}

/** Letters to add, take out or change, and neighbours to swap (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: readonly number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
          swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    before = row
    row = next
  }
  return row[b.length] ?? 0
}
