import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Arrival, arrivalOf, enter, type Refusal, type Step } from '../../src/session/door.ts'
import type { SessionSettings } from '../../src/session/host.ts'
import { FakeSocket } from '../support/fake-socket.ts'

const arrive = (): Arrival | undefined =>
  arrivalOf(new FakeSocket('192.0.2.7', 40_000).socket, 0, {} as SessionSettings)

const pass: Step = (arrival, next) => next(arrival)
const elsewhere: Step = (arrival, next) => next({ ...arrival, peer: { ip: '198.51.100.1', port: 25 } })
const shut: Step = (_, next) => next({ refused: 'shut' })

function outcomes(steps: readonly Step[]): (Arrival | Refusal)[] {
  const arrival = arrive()
  assert.ok(arrival)
  const seen: (Arrival | Refusal)[] = []
  enter(steps, arrival, (outcome) => seen.push(outcome))
  return seen
}

void describe('the door', () => {
  void it('lets an arrival in as the last step made it', () => {
    const [outcome, ...more] = outcomes([pass, elsewhere, pass])
    assert.ok(outcome !== undefined && 'peer' in outcome)
    assert.deepEqual(outcome.peer, { ip: '198.51.100.1', port: 25 })
    assert.deepEqual(more, [])
  })
  void it('ends at the first refusal, and asks no later step', () => {
    const never: Step = () => assert.fail('a step after a refusal was asked')
    assert.deepEqual(outcomes([pass, shut, never]), [{ refused: 'shut' }])
  })
  void it('waits for a step that answers later', () => {
    let later = () => {}
    const slow: Step = (arrival, next) => {
      later = () => next(arrival)
    }
    const seen = outcomes([slow, shut])
    assert.deepEqual(seen, [])
    later()
    assert.deepEqual(seen, [{ refused: 'shut' }])
  })
  void it('forgets the arrival of a client that has disconnected', () => {
    const socket = new FakeSocket()
    socket.remoteAddress = undefined
    assert.equal(arrivalOf(socket.socket, 0, {} as SessionSettings), undefined)
  })
})
