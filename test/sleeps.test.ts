// A test waits for an event, for a condition (test/support/until.ts) or for a clock that it moves itself (test/support/clock.ts). Where
// it can only let time pass, the line above says why.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const MOST = 10

/** Calls that let time pass: Node's timers, Atomics.wait, and sleep of a shell or of Perl for less than half a minute; longer ones hang. */
const SLEEPS = [
  /(?<![.\w])setTimeout\(/,
  /(?<![.\w])sleep\(/,
  /\bAtomics\.wait\(/,
  /\bsleep ([012]?\d(\.\d+)?)(?![\d.])/,
  /\bsleep_ms: \d/,
]

interface Sleep {
  readonly place: string
  readonly hasReason: boolean
}

function sleepsIn(name: string, text: string): readonly Sleep[] {
  const lines = text.split('\n')
  return lines.flatMap((line, n) => {
    if (/^\s*(\/\/|\/?\*|import )/.test(line) || !SLEEPS.some((one) => one.test(line))) return []
    return [{ place: `${name}:${n + 1}`, hasReason: /^\s*(\/\/|\/?\*|#)/.test(lines[n - 1] ?? '') }]
  })
}

void test(`tests let time pass in at most ${MOST} places, each with its reason`, () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|c|sh|pl)$/.test(name) && name !== 'sleeps.test.ts')
    .toSorted()
  const sleeps = files.flatMap((name) => sleepsIn(name, readFileSync(join('test', name), 'utf8')))
  const places = sleeps.map(({ place }) => place).join('\n')
  assert.ok(sleeps.length <= MOST, `${sleeps.length} of them:\n${places}`)
  assert.deepEqual(
    sleeps.filter(({ hasReason }) => !hasReason).map(({ place }) => place),
    [],
    'a comment in the line above says why it cannot wait for something',
  )
})

void test('they are found in each of their forms', () => {
  for (const line of [
    'await sleep(5)',
    'setTimeout(resolve, 5)',
    "  'trap x; sleep 0.2; exit'",
    '{ sleep_ms: 120 }',
    'Atomics.wait(a, 0, 0, ms)',
    'while :; do sleep 1; done',
  ])
    assert.deepEqual(sleepsIn('x', `// why\n${line}`), [{ place: 'x:2', hasReason: true }], line)
  for (const line of ['exec sleep 300', 'socket.setTimeout(5)', 'usleep(5)', "import { setTimeout as sleep } from 'x'"])
    assert.deepEqual(sleepsIn('x', line), [], line)
  assert.deepEqual(sleepsIn('x', 'f()\nsleep(1)'), [{ place: 'x:2', hasReason: false }])
})
