import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Figure, ratioOf, sampleOf, shareOf, toJson, verdictOf } from '../../bench/figures.ts'
import { boxesOf, flameGraph } from '../../bench/flame.ts'
import { passes } from '../../bench/open.ts'
import { svgPlot } from '../../bench/plot.ts'
import { rows } from '../../bench/rows.ts'
import { specialRows } from '../../bench/special.ts'
import { textTable } from '../../bench/table.ts'

const figure = (parts: Partial<Figure>): Figure => ({
  row: 'cold',
  figure: 'sessions/s',
  unit: '/s',
  better: 'more',
  clients: 64,
  against: 'chain',
  ours: sampleOf([400, 500, 600]),
  baseline: sampleOf([250, 200, 240]),
  target: { of: 'ratio', least: 1.6, aim: 2.5 },
  ...parts,
})

void test('the median of an even number of runs lies between the middle two', () => {
  assert.deepEqual(sampleOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 })
  assert.equal(sampleOf([]), undefined)
})

for (const [ours, target, better, verdict] of [
  [240, { of: 'ratio', least: 1, aim: 1.2 }, 'more', 'met'],
  [239, { of: 'ratio', least: 1, aim: 1.2 }, 'more', 'missed'],
  [288, { of: 'ratio', least: 1, aim: 1.2 }, 'more', 'aim'],
  [120, { of: 'ratio', least: 0.6, aim: 0.4 }, 'less', 'met'],
  [0, { of: 'ours', least: 0 }, 'less', 'met'],
  [1, { of: 'ours', least: 0 }, 'less', 'missed'],
  [96, { of: 'ratio', least: 0.6, aim: 0.4 }, 'less', 'aim'],
  [1, undefined, 'less', 'none'],
] as const)
  void test(`${ours} against 240, ${better} is better, ${JSON.stringify(target)}: ${verdict}`, () => {
    assert.equal(verdictOf(figure({ ours: sampleOf([ours]), baseline: sampleOf([240]), better, target })), verdict)
  })

void test('--json has row, clients, ours, baseline and ratio, and null where there is nothing', () => {
  const full = toJson(figure({}))
  assert.equal(full.row, 'cold')
  assert.equal(full.clients, 64)
  assert.equal(full.ours, 500)
  assert.equal(full.baseline, 240)
  assert.equal(full.ratio, 2.08333)
  assert.equal(full.target, 1.6)
  assert.equal(full.aim, 2.5)
  assert.equal(full.verdict, 'met')
  const half = toJson(figure({ baseline: undefined }))
  assert.equal(half.baseline, null)
  assert.equal(half.ratio, null)
  assert.equal(half.verdict, 'none')
  assert.equal(ratioOf(figure({ ours: undefined })), undefined)
})

void test('the share of the limit is how much of it is reached, for a rate and for a time alike', () => {
  const limit = { name: 'dialogue', sample: sampleOf([1000]) }
  assert.equal(shareOf(figure({ limit })), 0.5)
  assert.equal(shareOf(figure({ limit, better: 'less', ours: sampleOf([4000]) })), 0.25)
  assert.equal(shareOf(figure({})), undefined)
  const json = toJson(figure({ limit }))
  assert.deepEqual([json.limit, json.limitMedian, json.limitShare], ['dialogue', 1000, 0.5])
  assert.deepEqual([toJson(figure({})).limit, toJson(figure({})).limitShare], [null, null])
  assert.match(textTable([figure({ limit })]), / 2\.08x +0\.50 of dialogue +>= 1\.6x/)
})

void test('where p99 passes 100 ms lies between the last rate below and the first above', () => {
  const points = [
    [400, 300],
    [100, 10],
    [300, 50],
    [200, 20],
  ] as const
  assert.equal(passes(points, 100), 320)
  assert.equal(passes(points.slice(1), 100), undefined)
  assert.equal(passes([...points, [150, 120]], 100), 320)
  assert.equal(passes([[100, 200]], 100), undefined)
})

void test('a missed target is printed plainly', () => {
  const text = textTable([figure({ ours: sampleOf([240]) })])
  assert.match(text, /cold +sessions\/s +64 +240 +240 \(200-250\) chain +1\.00x +>= 1\.6x \(2\.5x\) +MISSED/)
})

void test('each row has a name of its own, and each clients point a positive number', () => {
  const names = [...rows, ...specialRows].map(({ row }) => row)
  assert.equal(new Set(names).size, names.length)
  assert.ok(rows.every(({ points }) => points.length > 0 && points.every(({ clients }) => clients > 0)))
})

void test('a plot has a line and a name for each side, and nothing that is not a number', () => {
  const svg = svgPlot({
    title: 'a < b',
    x: 'clients',
    y: '/s',
    series: [
      {
        name: 'ours',
        points: [
          [1, 10, 9, 12],
          [1000, 300, 200, 400],
        ],
      },
      {
        name: 'chain',
        points: [
          [1, 5, 5, 5],
          [1000, 100, 100, 100],
        ],
      },
    ],
  })
  assert.equal(svg.match(/class="line"/g)?.length, 2)
  assert.match(svg, /a &lt; b/)
  assert.match(svg, /prefers-color-scheme: dark/)
  assert.doesNotMatch(svg, /NaN|Infinity/)
})

const node = (id: number, functionName: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url: functionName.startsWith('(') ? '' : 'file:///x/dist/src/a.js', lineNumber: 3 },
  children,
})

void test('a flame graph adds up the samples of one function below one caller and leaves idle time out', () => {
  const profile = {
    nodes: [node(1, '(root)', [2, 3, 4]), node(2, 'work', [5]), node(3, '(idle)'), node(4, 'work'), node(5, 'deep')],
    samples: [2, 3, 4, 5, 5],
    timeDeltas: [100, 900, 50, 25, 25],
  }
  const root = boxesOf(profile)
  assert.equal(root.total, 200)
  assert.deepEqual(
    root.children.map(({ name, total, self }) => ({ name, total, self })),
    [{ name: 'work', total: 200, self: 150 }],
  )
  assert.match(flameGraph(profile, 't'), /dist\/src\/a\.js:4/)
})

const run = (...args: readonly string[]): { out: string; err: string; code: number | null } => {
  const ran = spawnSync(process.execPath, [fileURLToPath(new URL('../../bench/run.js', import.meta.url)), ...args], {
    encoding: 'utf8',
  })
  return { out: ran.stdout, err: ran.stderr, code: ran.status }
}

void test('--list names each row, --help explains, an unknown row is refused with a list of the known ones', () => {
  assert.match(run('--list').out, /^cold .*\n(.*\n)*warm /m)
  assert.match(run('--help').out, /--quick/)
  const { code, err } = run('--row', 'cool')
  assert.equal(code, 1)
  assert.match(err, /there is no row "cool"; there are cold, linked, warm/)
  assert.match(run('col').err, /there is no row "col"/)
})
