// Latencies in log-linear buckets: four to an octave of microseconds, so that a percentile is right within an eighth.
// Recording is a clz32 and two additions; a value is a plain array, so lanes can send theirs and main adds them up.

/** Octaves 2^3..2^31 µs (36 minutes) in four steps each, and 0..7 µs one by one. */
export const HISTOGRAM_BUCKETS = 8 + 4 * 28

/** `counts[HISTOGRAM_BUCKETS]` is the sum of the values in seconds. */
export type Histogram = Float64Array

export interface HistogramValue {
  readonly counts: readonly number[]
  /** Seconds. */
  readonly sum: number
}

export function newHistogram(): Histogram {
  return new Float64Array(HISTOGRAM_BUCKETS + 1)
}

function bucketOf(microseconds: number): number {
  if (!(microseconds >= 1)) return 0
  if (microseconds >= 0x7fffffff) return HISTOGRAM_BUCKETS - 1
  const whole = microseconds | 0
  if (whole < 8) return whole
  const octave = 31 - Math.clz32(whole)
  return 8 + (octave - 3) * 4 + ((whole >> (octave - 2)) & 3)
}

/** The microseconds at which a bucket ends; the next one begins there. */
function endOf(bucket: number): number {
  if (bucket < 8) return bucket + 1
  const octave = 3 + ((bucket - 8) >> 2)
  const step = (bucket - 8) & 3
  return (5 + step) * 2 ** (octave - 2)
}

export function record(histogram: Histogram, seconds: number): void {
  const bucket = bucketOf(seconds * 1e6)
  histogram[bucket] = (histogram[bucket] ?? 0) + 1
  histogram[HISTOGRAM_BUCKETS] = (histogram[HISTOGRAM_BUCKETS] ?? 0) + Math.max(seconds, 0)
}

/** A copy that can be sent. */
export function histogramValue(histogram: Histogram): HistogramValue {
  return {
    counts: Array.from(histogram.subarray(0, HISTOGRAM_BUCKETS)),
    sum: histogram[HISTOGRAM_BUCKETS] ?? 0,
  }
}

export function mergeHistograms(values: readonly HistogramValue[]): HistogramValue {
  const counts = Array.from({ length: HISTOGRAM_BUCKETS }, () => 0)
  let sum = 0
  for (const value of values) {
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) counts[i] = (counts[i] ?? 0) + (value.counts[i] ?? 0)
    sum += value.sum
  }
  return { counts, sum }
}

export function histogramCount(value: HistogramValue): number {
  let count = 0
  for (const n of value.counts) count += n
  return count
}

/** The end, in seconds, of the bucket in which the value of that rank lies; 0 of nothing. */
export function quantile(value: HistogramValue, q: number): number {
  const total = histogramCount(value)
  if (total === 0) return 0
  const rank = Math.max(1, Math.ceil(q * total))
  let seen = 0
  for (let i = 0; i < value.counts.length; i++) {
    seen += value.counts[i] ?? 0
    if (seen >= rank) return endOf(i) / 1e6
  }
  return endOf(HISTOGRAM_BUCKETS - 1) / 1e6
}

/** Cumulative counts at whole octaves, `[seconds, count]`, from 256 µs to 67 s: what Prometheus calls `le`. */
export function octaves(value: HistogramValue): readonly (readonly [le: number, count: number])[] {
  const out: [number, number][] = []
  let seen = 0
  for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += value.counts[i] ?? 0
    const end = endOf(i)
    const octave = Math.log2(end)
    if (Number.isInteger(octave) && octave >= 8 && octave <= 26) out.push([end / 1e6, seen])
  }
  return out
}
