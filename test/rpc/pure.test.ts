import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  HISTOGRAM_BUCKETS,
  histogramCount,
  histogramValue,
  mergeHistograms,
  newHistogram,
  octaves,
  quantile,
  record,
} from '../../src/contract/histogram.ts'
import {
  addressMatcher,
  afterCursor,
  cursorAfter,
  globMatches,
  mergePages,
  type SessionQuery,
  type SessionSort,
  selectPage,
} from '../../src/contract/pages.ts'
import { diffLines } from '../../src/rpc/diff.ts'
import { prometheusText } from '../../src/rpc/prometheus.ts'
import { createClient, eventText, QUEUE_BYTES } from '../../src/rpc/streams.ts'
import { sampleSession } from '../support/sample.ts'

void test('a glob matches what the same regular expression does, and does not backtrack', () => {
  const part = fc.constantFrom('a', 'b', '*', '?', '.')
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }),
      fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 8 }),
      (g, t) => {
        const expression = new RegExp(`^${g.map((c) => (c === '*' ? '.*' : c === '?' ? '.' : `[${c}]`)).join('')}$`)
        assert.equal(globMatches(g.join(''), t.join('')), expression.test(t.join('')))
      },
    ),
  )
  // By backtracking it would take longer than the universe has.
  globMatches('*a'.repeat(120), 'a'.repeat(119).padEnd(5000, 'b'))
})

void test('addresses and blocks', () => {
  const cases: readonly [block: string, address: string, matches: boolean][] = [
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.128/25', '192.0.2.127', false],
    ['0.0.0.0/0', '10.1.2.3', true],
    ['0.0.0.0/0', '::1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::/0', '192.0.2.1', false],
    ['::ffff:192.0.2.0/120', '192.0.2.9', true],
  ]
  for (const [block, address, matches] of cases)
    assert.equal(addressMatcher(block)?.(address), matches, `${block} ${address}`)
  for (const odd of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    '1.2.3.256',
    ':',
    ':::',
    '1::2::3',
    '::1/129',
    'g::1',
    'localhost',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
  ])
    assert.equal(addressMatcher(odd), undefined, odd)
})

void test('addresses are sorted as numbers, IPv4 before IPv6', () => {
  const ips = ['192.0.2.1', '2001:db8:10::', '9.0.0.1', '2001:db8::1', '10.0.0.1', '::ffff:11.0.0.1', '100.0.0.1']
  const sessions = ips.map((ip, i) => sampleSession(i, { ip, id: `${i}` }))
  const page = mergePages(sessions, { filter: {}, sort: 'ip', descending: false, limit: 10, now: 0 })
  assert.deepEqual(
    page.map(({ ip }) => ip),
    ['9.0.0.1', '10.0.0.1', '::ffff:11.0.0.1', '100.0.0.1', '192.0.2.1', '2001:db8::1', '2001:db8:10::'],
  )
})

void test('pages give each session once, in order, whatever the lanes', () => {
  const sorts: readonly SessionSort[] = ['started', 'idle', 'user', 'ip', 'bytesIn', 'messages', 'id']
  fc.assert(
    fc.property(
      fc.array(fc.nat(40), { maxLength: 60 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(...sorts),
      fc.boolean(),
      (seeds, limit, sort, descending) => {
        const all = seeds.map((seed, i) => ({ ...sampleSession(seed), id: `${i}`.padStart(3, '0') }))
        const lanes = [all.filter((_, i) => i % 3 === 0), all.filter((_, i) => i % 3 !== 0)]
        const seen: string[] = []
        let after: SessionQuery['after']
        for (;;) {
          const query = { filter: {}, sort, descending, limit, now: 0, ...(after && { after }) }
          const page = mergePages(
            lanes.flatMap((lane) => selectPage(lane, query).sessions),
            query,
          )
          seen.push(...page.map(({ id }) => id))
          const last = page.at(-1)
          if (!last || page.length < limit) break
          after = afterCursor(cursorAfter(last, sort, descending), sort, descending)
          assert.ok(after)
        }
        const whole = { filter: {}, sort, descending, limit: 1000, now: 0 }
        assert.deepEqual(
          seen,
          selectPage(all, whole).sessions.map(({ id }) => id),
        )
        assert.equal(new Set(seen).size, all.length)
      },
    ),
  )
  assert.equal(afterCursor(cursorAfter(sampleSession(1), 'id', true), 'id', false), undefined)
})

void test('a diff, applied, gives the other text', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((all) => all.join('\n'))
  fc.assert(
    fc.property(text, text, (before, after) => {
      const changes = diffLines(before, after)
      const removed = new Set(changes.filter(({ op }) => op === '-').map(({ line }) => line))
      const added = new Map(changes.filter(({ op }) => op === '+').map(({ line, text: t }) => [line, t]))
      const kept = lines(before).filter((_, i) => !removed.has(i + 1))
      const made: string[] = []
      while (kept.length > 0 || added.has(made.length + 1)) made.push(added.get(made.length + 1) ?? kept.shift() ?? '')
      assert.deepEqual(made, lines(after))
      if (JSON.stringify(lines(before)) === JSON.stringify(lines(after))) assert.equal(changes.length, 0)
    }),
  )
  assert.equal(diffLines('x\n'.repeat(50_000), 'y\n'.repeat(50_000)).length, 100_000)
})

function lines(text: string): string[] {
  const all = text.split('\n')
  if (all.at(-1) === '') all.pop()
  return all
}

void test('a percentile is right within a quarter, at any size, and histograms add up', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1e-5, max: 2000, noNaN: true }), { minLength: 1, maxLength: 50 }),
      (values) => {
        const parts = [newHistogram(), newHistogram()]
        for (const [i, value] of values.entries()) record(parts[i % 2] ?? newHistogram(), value)
        const all = mergeHistograms(parts.map(histogramValue))
        assert.equal(histogramCount(all), values.length)
        const sorted = values.toSorted((a, b) => a - b)
        for (const q of [0.5, 0.95, 0.99, 1]) {
          const exact = sorted[Math.max(0, Math.ceil(q * values.length) - 1)] ?? 0
          const estimate = quantile(all, q)
          assert.ok(estimate >= exact && estimate <= exact * 1.26 + 2e-6, `${exact} ${estimate}`)
        }
      },
    ),
  )
  const odd = newHistogram()
  for (const value of [0, -1, Number.NaN, 1e9, Number.POSITIVE_INFINITY]) record(odd, value)
  assert.equal(histogramCount(histogramValue(odd)), 5)
  assert.equal(histogramValue(odd).counts.length, HISTOGRAM_BUCKETS)
  assert.equal(quantile(histogramValue(newHistogram()), 0.99), 0)
  const bounds = octaves(histogramValue(odd)).map(([le]) => le)
  assert.deepEqual([bounds.length, bounds[0], bounds.at(-1)], [19, 0.000256, 67.108864])
})

void test('metrics as Prometheus reads them', () => {
  const login = newHistogram()
  record(login, 0.01)
  const text = prometheusText([
    { metric: 'acceptd_sessions_accepted_total', labels: { listener: 'a"b\\c\nd' }, value: 3 },
    { metric: 'acceptd_login_seconds', labels: { lane: '1', outcome: 'accepted' }, value: histogramValue(login) },
  ])
  assert.match(text, /^acceptd_sessions_accepted_total\{listener="a\\"b\\\\c\\nd"\} 3$/m)
  assert.match(text, /^acceptd_login_seconds_bucket\{lane="1",outcome="accepted",le="0\.008192"\} 0$/m)
  assert.match(text, /^acceptd_login_seconds_bucket\{lane="1",outcome="accepted",le="0\.016384"\} 1$/m)
  assert.match(text, /^acceptd_login_seconds_bucket\{lane="1",outcome="accepted",le="\+Inf"\} 1$/m)
  assert.match(text, /^acceptd_login_seconds_sum\{lane="1",outcome="accepted"\} 0\.01$/m)
  // Each family comes together, after its own help and type.
  const families = text.split('\n').flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? [])
  assert.equal(new Set(families).size, families.length)
})

void test('a reader that is behind gets what fits in the queue, in order, and learns how many were lost', () => {
  const written: string[] = []
  let full = true
  let lost = 0
  const client = createClient(
    'control',
    'lines',
    (line) => {
      written.push(line)
      return !full
    },
    () => {},
    (events) => {
      lost += events
    },
  )
  const stream = client.open(() => {})
  assert.ok(stream)
  stream.push(eventText({ early: true }))
  assert.equal(written.length, 0, 'not before the reply')
  client.reply('reply')
  for (let n = 0; n < 100_000; n++) stream.push(eventText({ n }))
  assert.ok(lost > 90_000)
  assert.ok(written.join('').length < QUEUE_BYTES)
  full = false
  client.drained()
  assert.ok(written.join('').length < 2 * QUEUE_BYTES)
  stream.push(eventText({ after: true }))
  const events = written.slice(1).map((line): { params: { seq: number; dropped?: number } } => JSON.parse(line))
  assert.deepEqual(events[0]?.params, { subscription: stream.id, seq: 1, early: true })
  let expected = 1
  let told = 0
  for (const { params } of events) {
    told += params.dropped ?? 0
    assert.equal(params.seq, expected + (params.dropped ?? 0))
    expected = params.seq + 1
  }
  assert.equal(told, lost)
  assert.equal(expected, 100_000 + 1 + 1 + 1 + 1)
})
