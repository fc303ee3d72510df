// Times that are shown follow a clock that is set; those that decide anything do not.
import assert from 'node:assert/strict'
import { it, mock } from 'node:test'
import { monotonic, wallTime } from '../../src/edge/clock.ts'

const HOUR = 3_600_000

void it('the time shown for a moment stays the same, and follows a clock that is set', () => {
  const moment = monotonic()
  const shown = wallTime(moment)
  assert.ok(Math.abs(shown - Date.now()) < 1000)
  assert.equal(wallTime(moment), shown)
  const real = Date.now
  const set = mock.method(Date, 'now', () => real() - HOUR)
  assert.ok(Math.abs(wallTime(moment) - (shown - HOUR)) < 200)
  set.mock.restore()
  assert.ok(monotonic() - moment < HOUR)
})
