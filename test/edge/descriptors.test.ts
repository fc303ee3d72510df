import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { descriptorRequests, sayStopping } from '../../src/edge/descriptors.ts'

/** It has lost its parent, and does not know that yet. */
function orphan(): void {
  const request = descriptorRequests(() => undefined)
  // What acceptd may say keeps nobody alive.
  process.stdin.resume()
  process.once('disconnect', () => {
    sayStopping()
    request?.(0, 1)
    setImmediate(() => process.exit(7))
  })
  process.send?.('ready')
}

if (process.argv[2] === 'orphan') orphan()
else
  void test('a runtime whose acceptd has died goes on to its own end, whatever it wanted to say', async () => {
    const child = fork(fileURLToPath(import.meta.url), ['orphan'], { stdio: ['pipe', 'ignore', 'inherit', 'ipc'] })
    const ended = once(child, 'exit')
    await once(child, 'message')
    child.disconnect()
    assert.deepEqual(await ended, [7, null])
  })
