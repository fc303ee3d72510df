import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { cpuOf, processTree, pssOf } from '../../bench/proc.ts'
import { until } from '../support/until.ts'

void test('CPU of children counts while they live and after they have been waited for', async () => {
  // Ten children that work for a moment: five stay, five end.
  const work = 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'
  const script = `for n in 1 2 3 4 5; do (${work}; echo; exec sleep 30) & (${work}) & ended="$ended $!"; done; wait $ended; echo; wait`
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  const roots = [child.pid ?? 0]
  let lines = 0
  child.stdout.on('data', (bytes: Buffer) => {
    lines += bytes.length
  })
  const sleepers = () => processTree(roots).filter(({ command }) => command === 'sleep')
  await until('five to have ended and five to sleep', () => lines === 6 && sleepers().length === 5)
  const tree = processTree(roots)
  const sleeping = sleepers()
  const ours = cpuOf(roots, (command) => command === 'sh')
  assert.ok(
    sleeping.every(({ own }) => own > 0.0005 && own < 5),
    JSON.stringify(sleeping),
  )
  assert.ok(ours.total > ours.own, JSON.stringify(ours))
  assert.ok(pssOf(roots) > 100)
  for (const { pid } of tree) process.kill(pid, 'SIGKILL')
})

void test('a process that is gone is no error', () => {
  assert.deepEqual(processTree([2 ** 22 + 1]), [])
})
