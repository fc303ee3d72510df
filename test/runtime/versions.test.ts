// What a version has left on disk, or hands over in an upgrade, is understood by every later one. Each has its folder in test/state, made by
// that version itself: the control directory, the state directory, and the baton of a runtime.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { leftIn } from '../../src/edge/store.ts'
import { inWindow } from '../../src/limits/windows.ts'
import { batonOf } from '../../src/runtime/baton.ts'
import { begin } from '../../src/runtime/beginning.ts'
import { createLimits } from '../../src/runtime/limits.ts'
import { recall } from '../../src/runtime/memory.ts'

const TOP = 'test/state'

/** All of them were told the same. */
for (const version of readdirSync(TOP).toSorted())
  void describe(`what version ${version} has left`, () => {
    const control = join(TOP, version, 'control')
    const left = leftIn(join(TOP, version, 'state'))
    const { memory, troubles } = recall(left)

    void it('is a control directory without an error', () => {
      const begun = begin(control, [], 'disk')
      assert.ok(begun.isOk(), JSON.stringify(begun))
      const { listeners, smtpTimeout, limits } = begun.value.current.config
      assert.deepEqual(
        listeners.map(({ name, port, tries }) => [name, port, tries]),
        [
          ['submission', 2587, 3],
          ['pop3:2110', 2110, 1],
        ],
      )
      assert.deepEqual([smtpTimeout, limits.limits.map(({ name }) => name)], [900, ['guesses', 'recipients']])
    })

    void it('is a state directory that is read completely', () => {
      assert.deepEqual(troubles, [])
      const { generations, blocks, pauses, levels, draining, overrides } = memory
      assert.deepEqual(
        generations.map(({ generation, by, reason }) => [generation, by, reason]),
        [
          [1, 'start', undefined],
          [2, 'control', 'shorter'],
        ],
      )
      assert.deepEqual(
        [...blocks].map(([user, { reason }]) => [user, reason]),
        [
          ['mallory', 'sends spam'],
          ['eve', undefined],
        ],
      )
      assert.deepEqual([...pauses], [['pop3:2110', 'hold']])
      assert.deepEqual([[...levels], draining], [[['acceptd', 'debug']], false])
      assert.deepEqual(
        overrides.map(({ method, subject, value }) => [method, subject, value]),
        [
          ['user.block', 'eve', undefined],
          ['limit.set', 'guesses', '50/hour'],
        ],
      )
    })

    for (const how of ['disk', 'kept', 'reload'] as const)
      void it(`goes on with its last generation: begun with ${how}`, () => {
        const begun = begin(control, memory.generations, how)
        assert.ok(begun.isOk(), JSON.stringify(begun))
        assert.equal(begun.value.current.generation, 2)
      })

    void it('is a baton that is read completely', () => {
      const baton = batonOf(readFileSync(join(TOP, version, 'baton'), 'latin1'))
      const told = recall({ ...left, read: () => baton.state })
      assert.deepEqual([told.troubles, [...told.memory.blocks.keys()]], [[], ['mallory', 'eve']])
      assert.deepEqual(
        baton.lanes.map(({ lane, place, generation }) => [lane, place, generation]),
        [
          [1, 1, 2],
          [2, 2, 2],
        ],
      )
      assert.ok(baton.inherited.some(({ metric, value }) => metric === 'acceptd_reloads_total' && value === 1))
      assert.deepEqual([baton.secret.length, ...baton.tickets.map(({ aes }) => aes.length)], [32, 16])
      const begun = begin(control, [], 'disk')
      assert.ok(begun.isOk())
      const limits = createLimits(begun.value.current.config.limits, [])
      limits.takeOver({ ...baton, overrides: told.memory.overrides })
      limits.stop()
      const { limiter } = limits
      assert.deepEqual(
        [...limiter.clients.values()].map(({ size }) => size),
        [1],
      )
      assert.equal(limiter.limits.limits[0]?.rate.kind, 'window')
      for (const windows of limiter.windows.values())
        for (const subject of windows.counts.keys()) assert.equal(inWindow(windows, subject, limits.now()), 0)
    })
  })
