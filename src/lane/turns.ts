// The helper's backends, each login in its turn and as long as the lane has descriptors and processes for one more. What waits has neither.

import { monotonic, systemSecond } from '../edge/clock.ts'
import { answered, crowdedOut, leave, next, over, queue, type Standing, stalled } from '../limits/turns.ts'
import { wipe } from '../protocol/bytes.ts'
import type { BackendSource, Opened, Refused } from '../session/backends/backends.ts'
import { isWrong } from './limits.ts'
import { acquaintance } from './standing.ts'
import {
  evictWhile,
  type Lane,
  mostLogins,
  outOfDescriptors,
  outOfProcesses,
  publishUse,
  type QueuedLogin,
} from './state.ts'
import { attemptsIn, countAttempt } from './usage.ts'

/** A login that has taken so long waits for something other than a processor. */
const STALLED_MILLISECONDS = 5000

/** More would not have their turn before they give up. */
const MOST_WAITING = 4096

export const inTurn = (theLane: () => Lane, helper: BackendSource): BackendSource => ({
  open(login, done) {
    const lane = theLane()
    const { turns } = lane
    const { address, standing, accepted, wrong } = acquaintance(
      lane,
      login.kind === 'guest' ? '' : login.user,
      lane.byName.get(login.session)?.ip ?? '',
    )
    const refuse = (is: 'busy' | 'timeout') => {
      wipe(login.credentials)
      done({ is })
    }
    const queued: QueuedLogin = {
      refuse: () => refuse('busy'),
      begin() {
        evictWhile(lane, (full) => outOfDescriptors(full) || outOfProcesses(full))
        if (outOfDescriptors(lane)) {
          over(turns)
          refuse('busy')
          return
        }
        const began = monotonic()
        let isStalled = false
        const timer = setTimeout(() => {
          isStalled = true
          stalled(turns, 1)
          advance(lane)
        }, STALLED_MILLISECONDS).unref()
        giveUp = helper.open(login, (outcome) => {
          clearTimeout(timer)
          if (isStalled) stalled(turns, -1)
          if ('backend' in outcome) accepted()
          else if (isWrong(outcome)) wrong()
          if (!saysTime(outcome)) over(turns)
          else answered(turns, `${login.chain} ${isWrong(outcome)}`, began, monotonic())
          done(outcome)
          advance(lane)
        })
      },
    }
    let giveUp = () => {
      if (leave(turns, standing, address, queued)) refuse('timeout')
    }
    queue(turns, standing, address, queued)
    advance(lane)
    while (turns.waiting > MOST_WAITING) crowdedOut(turns)?.refuse()
    return () => giveUp()
  },
})

const saysTime = (outcome: Opened | Refused): boolean => 'backend' in outcome || isWrong(outcome)

/** Shares of attempts-per-second. Above it the helper answers every login with busy, so lanes stay below. */
const SHARES: Readonly<Record<Standing, number>> = { known: 15 / 16, new: 3 / 4, suspect: 1 / 2 }

/** Begins those whose turn it is. */
function advance(lane: Lane): void {
  const { turns, usage } = lane
  const { second, left } = systemSecond()
  const { attemptsPerSecond } = lane.generations.published().config.chains
  const may = (standing: Standing) => attemptsIn(usage, second) < Math.max(1, attemptsPerSecond * SHARES[standing])
  for (;;) {
    const queued = next(turns, mostLogins(lane), may)
    if (queued === undefined) break
    countAttempt(usage, second)
    queued.begin()
  }
  publishUse(lane)
  if (turns.waiting === 0 || lane.nextSecond !== undefined) return
  lane.nextSecond = setTimeout(() => {
    lane.nextSecond = undefined
    advance(lane)
  }, left)
}
