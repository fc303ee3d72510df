// Whether a row of samples is flat: its slope by least squares, and how far chance alone might have tilted it.

export interface Trend {
  readonly median: number
  /** Of the samples' unit, in an hour. */
  readonly slope: number
  /** Standard error of the slope. */
  readonly error: number
  /** From the first to the last sample, as a part of the median. */
  readonly growth: number
  readonly flat: boolean
}

/** Growth that is none: a part of the median. */
const TOLERATED = 0.1
/** Standard errors within which a slope may be chance. */
const CHANCE = 2

/** Points are hours and values; more of anything that is measured here is worse, and less is no growth. */
export function trendOf(points: readonly (readonly [hours: number, value: number])[]): Trend {
  const n = points.length
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / (n || 1)
  const [middle, level] = [mean(([x]) => x), mean(([, y]) => y)]
  const spread = points.reduce((sum, [x]) => sum + (x - middle) ** 2, 0)
  const slope = spread === 0 ? 0 : points.reduce((sum, [x, y]) => sum + (x - middle) * (y - level), 0) / spread
  const rest = points.reduce((sum, [x, y]) => sum + (y - level - slope * (x - middle)) ** 2, 0)
  const error = n > 2 && spread > 0 ? Math.sqrt(rest / (n - 2) / spread) : 0
  const values = points.map(([, y]) => y).toSorted((a, b) => a - b)
  const median = values[Math.floor(n / 2)] ?? 0
  const hours = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0)
  const growth = median === 0 ? 0 : (slope * hours) / median
  return { median, slope, error, growth, flat: growth <= TOLERATED || slope <= CHANCE * error }
}
