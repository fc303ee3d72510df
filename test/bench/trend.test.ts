import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trendOf } from '../../bench/trend.ts'

const line = (slope: number, noise: number): readonly (readonly [number, number])[] =>
  Array.from({ length: 60 }, (_none, n) => [n / 60, 100 + (slope * n) / 60 + (n % 2 === 0 ? noise : -noise)] as const)

void test('a row that stays or falls is flat, one that grows by more than a tenth is not', () => {
  assert.equal(trendOf(line(0, 0)).flat, true)
  assert.equal(trendOf(line(-50, 1)).flat, true)
  assert.equal(trendOf(line(5, 1)).flat, true)
  const grows = trendOf(line(40, 1))
  assert.equal(grows.flat, false)
  assert.ok(Math.abs(grows.slope - 40) < 1, String(grows.slope))
  assert.ok(grows.error < 1, String(grows.error))
})

void test('a slope that may be due to chance counts as none', () => {
  const few = [0, 0.1, 0.2].map((x, n) => [x, [100, 160, 130][n] ?? 0] as const)
  const { growth, flat } = trendOf(few)
  assert.ok(growth > 0.1)
  assert.equal(flat, true)
})

void test('no samples, and one, are flat', () => {
  assert.equal(trendOf([]).flat, true)
  assert.equal(trendOf([[0, 5]]).flat, true)
})
