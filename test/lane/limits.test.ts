// A lane whose questions about limits stay unanswered for 50 ms decides by what it heard last, and logs this once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Counters } from '../../src/lane/counters.ts'
import { createLaneLimits } from '../../src/lane/limits.ts'
import type { FromLane } from '../../src/lane/messages.ts'
import type { Reporter } from '../../src/lane/reporter.ts'
import { LaneRoom } from '../../src/lane/room.ts'
import type { LimitsFrame, LimitsVerdict } from '../../src/limits/frames.ts'
import { newRoom } from '../../src/limits/room.ts'
import { stepClock } from '../support/clock.ts'
import { until } from '../support/until.ts'

const advance = stepClock()

function limitsOfLane() {
  const asked: number[] = []
  const frames: LimitsFrame[] = []
  const said: string[] = []
  let alone = 0
  const tell = (message: FromLane) => {
    for (const frame of 'limits' in message ? message.limits : []) {
      frames.push(frame)
      asked.push(Number(frame[2]))
    }
  }
  const reporter = { log: (level: string, event: string) => void said.push(`${level} ${event}`) }
  const counters = {
    alone: () => {
      alone += 1
    },
  }
  const limits = createLaneLimits(
    tell,
    reporter as unknown as Reporter,
    counters as unknown as Counters,
    new LaneRoom(newRoom(1)),
  )
  const ask = (ip: string): LimitsVerdict[] => {
    const verdicts: LimitsVerdict[] = []
    limits.ask(
      (n) => ['enter', n, n, { ip, listener: 'l', user: '' }],
      `enter ${ip}`,
      (verdict) => verdicts.push(verdict),
    )
    return verdicts
  }
  return { limits, ask, asked, frames, said, alone: () => alone }
}

const REFUSED: LimitsVerdict = { limit: 'few', text: 'too many sessions', inUse: false, retry: 10 }

void test('a lane without an answer lets in clients it knows nothing about, and refuses those it last saw refused', async () => {
  const { limits, ask, asked, said, alone } = limitsOfLane()
  const known = ask('192.0.2.1')
  await turn()
  limits.hear([[asked[0] ?? 0, REFUSED]])
  assert.deepEqual(known, [REFUSED])

  const [again, stranger] = [ask('192.0.2.1'), ask('192.0.2.2')]
  assert.deepEqual([again, stranger, said], [[], [], []])
  advance(51)
  await until('the lane to decide', () => again.length + stranger.length === 2)
  assert.deepEqual([again, stranger], [[REFUSED], [{ wait: 0 }]])
  assert.deepEqual([said, alone()], [['warn limits-silent'], 2])

  // A late answer does not decide anything a second time.
  limits.hear([[asked[1] ?? 0, { wait: 0 }]])
  assert.deepEqual([again.length, said], [1, ['warn limits-silent', 'info limits-answer']])

  // What it remembers ends with the time that the refusal named.
  advance(10_000)
  const later = ask('192.0.2.1')
  advance(51)
  await until('the lane to decide', () => later.length === 1)
  assert.deepEqual(later, [{ wait: 0 }])
})

void test('a lane tells the end of those that were asked about, whatever lines there are by then, and of nobody else', () => {
  const { limits, ask, frames } = limitsOfLane()
  ask('192.0.2.1')
  limits.flush()
  const [[, counted] = []] = frames
  limits.tell(['ended', 77])
  limits.tell(['ended', Number(counted)])
  limits.tell(['ended', Number(counted)])
  limits.flush()
  assert.deepEqual(
    frames.map(([tag, number]) => [tag, number]),
    [
      ['enter', counted],
      ['ended', counted],
    ],
  )
})
