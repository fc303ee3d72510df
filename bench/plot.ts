// Line plots in SVG, both axes logarithmic or both linear, readable on white and on black paper.

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c)

export interface Series {
  readonly name: string
  /** x, median, least, greatest; everything above zero. */
  readonly points: readonly (readonly [x: number, y: number, low: number, high: number])[]
}

export interface Plot {
  readonly title: string
  readonly x: string
  readonly y: string
  /** From nought, instead of logarithmic. */
  readonly linear?: boolean
  readonly series: readonly Series[]
}

const WIDTH = 720
const HEIGHT = 420
const LEFT = 70
const RIGHT = 150
const TOP = 46
const BOTTOM = 52

const onWhite = ['#1f6fd1', '#2a8a4a', '#8a4fbf', '#c2570c', '#a3275b']
const onBlack = ['#6fb1ff', '#6fd08c', '#c39bf0', '#ff9d57', '#f07fae']

// Written out per series: not every viewer of SVG knows CSS variables.
const coloured = (colours: readonly string[]): string =>
  colours
    .map(
      (colour, index) =>
        `.s${index} .line,.s${index} .bar{stroke:${colour}}.s${index} .dot,.s${index} .name{fill:${colour}}`,
    )
    .join('')

const style = `<style>
.paper{fill:#fff}.grid{stroke:#e3e5e9}.axis{stroke:#8a8f99}text{fill:#333;font:12px system-ui,sans-serif}.title{font-size:15px;font-weight:600}
.line{fill:none;stroke-width:2}.bar{opacity:.5}.name{font-weight:600}
${coloured(onWhite)}
@media (prefers-color-scheme: dark){.paper{fill:#16181d}.grid{stroke:#2b2f37}.axis{stroke:#7b818c}text{fill:#d6d9de}
${coloured(onBlack)}}
</style>`

/** A decade either side of the data at most; 1, 2, 5 where there is room. */
function ticks(low: number, high: number): readonly number[] {
  const all: number[] = []
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5]) all.push(step * 10 ** power)
  const first = all.filter((tick) => tick <= low * 1.0001).at(-1) ?? low
  const last = all.find((tick) => tick >= high * 0.9999) ?? high
  return all.filter((tick) => tick >= first && tick <= last)
}

function tickText(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`
  if (value >= 1e3) return `${+(value / 1e3).toPrecision(3)}k`
  return String(+value.toPrecision(3))
}

interface Axis {
  readonly ticks: readonly number[]
  readonly at: (value: number) => number
}

function axis(values: readonly number[], from: number, to: number): Axis {
  let low = Math.min(...values)
  let high = Math.max(...values)
  if (low === high) {
    low /= 2
    high *= 2
  }
  const marks = ticks(low, high)
  const start = Math.log10(marks[0] ?? low)
  const end = Math.log10(marks.at(-1) ?? high)
  return { ticks: marks, at: (value) => from + ((Math.log10(value) - start) / (end - start || 1)) * (to - from) }
}

/** From nought to at least the greatest, at a distance of 1, 2 or 5 in its decade. */
function linearAxis(values: readonly number[], from: number, to: number): Axis {
  const high = Math.max(...values)
  const decade = 10 ** Math.floor(Math.log10(high / 4))
  const distance = ([1, 2, 5].find((step) => high / (step * decade) <= 6) ?? 10) * decade
  const marks = Array.from({ length: Math.ceil(high / distance) + 1 }, (_none, n) => n * distance)
  const end = marks.at(-1) ?? high
  return { ticks: marks, at: (value) => from + (value / end) * (to - from) }
}

/** The names at the ends of the lines, pushed apart where they would cover each other. */
function nameHeights(wanted: readonly number[]): readonly number[] {
  const order = wanted.map((y, index) => ({ y, index })).toSorted((a, b) => a.y - b.y)
  const result = [...wanted]
  let before = Number.NEGATIVE_INFINITY
  for (const { y, index } of order) {
    before = Math.max(y, before + 15)
    result[index] = before
  }
  return result
}

const number = (value: number): string => value.toFixed(1)

export function svgPlot(plot: Plot): string {
  const series = plot.series
    .map((each) => ({ ...each, points: each.points.filter(([x, y]) => x > 0 && y > 0) }))
    .filter((each) => each.points.length > 0)
  const points = series.flatMap((each) => each.points)
  if (points.length === 0) return ''
  const scale = plot.linear === true ? linearAxis : axis
  const x = scale(
    points.map((point) => point[0]),
    LEFT,
    WIDTH - RIGHT,
  )
  const y = scale(
    points.flatMap((point) => [point[1], point[2], point[3]]).filter((value) => value > 0),
    HEIGHT - BOTTOM,
    TOP,
  )
  const names = nameHeights(series.map((each) => y.at(each.points.at(-1)?.[1] ?? 1) + 4))
  const grid = [
    ...x.ticks.map(
      (tick) =>
        `<line class="grid" x1="${number(x.at(tick))}" x2="${number(x.at(tick))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>` +
        `<text x="${number(x.at(tick))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${tickText(tick)}</text>`,
    ),
    ...y.ticks.map(
      (tick) =>
        `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${number(y.at(tick))}" y2="${number(y.at(tick))}"/>` +
        `<text x="${LEFT - 8}" y="${number(y.at(tick) + 4)}" text-anchor="end">${tickText(tick)}</text>`,
    ),
  ]
  const lines = series.map((each, index) => {
    const path = each.points.map(([px, py], at) => `${at === 0 ? 'M' : 'L'}${number(x.at(px))} ${number(y.at(py))}`)
    const marks = each.points.map(
      ([px, py, low, high]) =>
        `${
          low > 0 && high > low
            ? `<line class="bar" x1="${number(x.at(px))}" x2="${number(x.at(px))}" y1="${number(y.at(low))}" y2="${number(y.at(high))}"/>`
            : ''
        }<circle class="dot" cx="${number(x.at(px))}" cy="${number(y.at(py))}" r="3.5"/>`,
    )
    const label = `<text class="name" x="${WIDTH - RIGHT + 10}" y="${number(names[index] ?? 0)}">${escapeXml(each.name)}</text>`
    return `<g class="s${index % 5}"><path class="line" d="${path.join('')}"/>${marks.join('')}${label}</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeXml(plot.title)}">`,
    style,
    `<rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`,
    `<text class="title" x="${LEFT}" y="24">${escapeXml(plot.title)}</text>`,
    ...grid,
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}"/>`,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" text-anchor="middle">${escapeXml(plot.x)}</text>`,
    `<text x="16" y="${(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" transform="rotate(-90 16 ${(TOP + HEIGHT - BOTTOM) / 2})">${escapeXml(plot.y)}</text>`,
    ...lines,
    '</svg>',
    '',
  ].join('\n')
}
