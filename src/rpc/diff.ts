// What differs between two texts, by line.

export interface LineChange {
  readonly op: '+' | '-'
  /** Counted from 1: in the old text for `-`, in the new one for `+`. */
  readonly line: number
  readonly text: string
}

/** Lines without their newlines; a text that ends without one is not told apart. */
function linesOf(text: string): readonly string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** A longest common subsequence in at most four million steps; beyond that, all of the differing middle is replaced. */
export function diffLines(before: string, after: string): readonly LineChange[] {
  const a = linesOf(before)
  const b = linesOf(after)
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let endA = a.length
  let endB = b.length
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--
    endB--
  }
  const n = endA - start
  const m = endB - start
  const changes: LineChange[] = []
  const removed = (i: number) => changes.push({ op: '-', line: start + i + 1, text: a[start + i] ?? '' })
  const added = (j: number) => changes.push({ op: '+', line: start + j + 1, text: b[start + j] ?? '' })
  if (n * m > 4_000_000) {
    for (let i = 0; i < n; i++) removed(i)
    for (let j = 0; j < m; j++) added(j)
    return changes
  }
  // common[i * (m + 1) + j]: the length for a[i..] and b[j..]
  const common = new Uint32Array((n + 1) * (m + 1))
  const at = (i: number, j: number) => common[i * (m + 1) + j] ?? 0
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      common[i * (m + 1) + j] =
        a[start + i] === b[start + j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  let i = 0
  let j = 0
  while (i < n || j < m) {
    if (i < n && j < m && a[start + i] === b[start + j]) {
      i++
      j++
    } else if (i < n && (j === m || at(i + 1, j) >= at(i, j + 1))) removed(i++)
    else added(j++)
  }
  return changes
}
