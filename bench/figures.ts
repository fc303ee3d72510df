// The results of a run: figures of two sides, their ratio, and whether that is enough.

export interface Target {
  /** Compared with the ratio ours / baseline, or with our figure itself. */
  readonly of: 'ratio' | 'ours'
  readonly least: number
  readonly aim?: number
}

/** Several runs of one thing. */
export interface Sample {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Figure {
  readonly row: string
  readonly figure: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly clients: number
  /** What the curve runs over, where it is not the clients: messages, octets, rules, idle sessions. */
  readonly x?: number
  readonly against: string
  readonly ours: Sample | undefined
  readonly baseline: Sample | undefined
  /** The least that a server can do for the same load, in the same turns. */
  readonly limit?: { readonly name: string; readonly sample: Sample | undefined }
  readonly target: Target | undefined
}

export function sampleOf(values: readonly number[]): Sample | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)).toSorted((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = (sorted.length - 1) / 2
  const at = (index: number): number => sorted[index] ?? Number.NaN
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, min: at(0), max: at(sorted.length - 1) }
}

export function ratioOf(figure: Figure): number | undefined {
  if (!figure.ours || !figure.baseline || figure.baseline.median === 0) return undefined
  return figure.ours.median / figure.baseline.median
}

/** How much of what the machine can do at all is reached: 1 is all of it. */
export function shareOf({ ours, limit, better }: Figure): number | undefined {
  const [of, most] = [ours?.median, limit?.sample?.median]
  if (!of || !most) return undefined
  return better === 'more' ? of / most : most / of
}

export type Verdict = 'aim' | 'met' | 'missed' | 'none'

/** `none`: there is no target, or nothing to compare it with. */
export function verdictOf(figure: Figure): Verdict {
  const { target } = figure
  const value = target?.of === 'ours' ? figure.ours?.median : ratioOf(figure)
  if (!target || value === undefined) return 'none'
  const reaches = (wanted: number): boolean => (figure.better === 'more' ? value >= wanted : value <= wanted)
  if (target.aim !== undefined && reaches(target.aim)) return 'aim'
  return reaches(target.least) ? 'met' : 'missed'
}

const round = (value: number | undefined): number | null => (value === undefined ? null : Number(value.toPrecision(6)))

/** The shape of `--json`: `ours`, `baseline` and `ratio` are medians, null where there is none. */
export function toJson(figure: Figure): Record<string, unknown> {
  return {
    row: figure.row,
    figure: figure.figure,
    unit: figure.unit,
    better: figure.better,
    clients: figure.clients,
    ...(figure.x === undefined ? {} : { x: figure.x }),
    against: figure.against,
    ours: round(figure.ours?.median),
    oursMin: round(figure.ours?.min),
    oursMax: round(figure.ours?.max),
    baseline: round(figure.baseline?.median),
    baselineMin: round(figure.baseline?.min),
    baselineMax: round(figure.baseline?.max),
    ratio: round(ratioOf(figure)),
    limit: figure.limit?.name ?? null,
    limitMedian: round(figure.limit?.sample?.median),
    limitShare: round(shareOf(figure)),
    targetOf: figure.target?.of ?? null,
    target: figure.target?.least ?? null,
    aim: figure.target?.aim ?? null,
    verdict: verdictOf(figure),
  }
}
