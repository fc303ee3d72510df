import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { benchProgram } from '../../bench/fixture.ts'
import './programs.ts'

type Percentiles = Readonly<Record<'count' | 'p50' | 'p90' | 'p99' | 'p999' | 'max', number>>

function percentilesOf(values: readonly number[]): Percentiles {
  const ran = spawnSync(benchProgram('loadgen'), ['--percentiles'], { input: values.join('\n'), encoding: 'utf8' })
  assert.equal(ran.status, 0, ran.stderr)
  return JSON.parse(ran.stdout)
}

/** The smallest sample that at least `share` of the samples do not exceed. */
function exact(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

const shares = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 } as const

void test('the percentiles of the histogram are those of the sorted samples, to a part in a hundred', () => {
  const nanoseconds = fc.oneof(fc.nat(1000), fc.nat(10_000_000), fc.integer({ min: 1, max: 3_600_000_000_000 }))
  fc.assert(
    fc.property(fc.array(nanoseconds, { minLength: 1, maxLength: 400 }), (values) => {
      const found = percentilesOf(values)
      assert.equal(found.count, values.length)
      assert.equal(found.max, Math.max(...values))
      for (const [name, share] of Object.entries(shares)) {
        const wanted = exact(values, share)
        const got = found[name as keyof typeof shares]
        assert.ok(Math.abs(got - wanted) <= wanted / 100, `${name}: ${got}, not ${wanted}`)
      }
    }),
    { numRuns: 60 },
  )
})

void test('small values are exact, and no samples are no error', () => {
  assert.deepEqual(percentilesOf([]), { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 })
  assert.deepEqual(percentilesOf([7]), { count: 1, p50: 7, p90: 7, p99: 7, p999: 7, max: 7 })
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
  assert.deepEqual(percentilesOf(hundred), { count: 100, p50: 50, p90: 90, p99: 99, p999: 100, max: 100 })
})
