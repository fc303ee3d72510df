// node one.js NAME SECONDS SEED FILE: one target for some time, in a process of its own. FILE always has the value that is being checked, so
// that a value that hangs or kills this process is not lost. Exits 0, or 1 with the smallest value that does not hold in the corpus.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { examplesOf, keep } from './target.ts'
import { targets } from './targets.ts'

const [, , name = '', seconds = '', seed = '', file = ''] = process.argv
const target = targets.find((one) => one.name === name)
if (target === undefined) throw new Error(`there is no target ${name}`)

const ends: (() => unknown)[] = []
const { arbitrary, check, waits } = await target.open({ after: (end) => ends.push(end) })
const current = openSync(file, 'w')
let length = 0
function note(value: unknown): void {
  const text = `${JSON.stringify(value)}\n`
  const written = writeSync(current, text, 0)
  if (written < length) ftruncateSync(current, written)
  length = written
}
let runs = 0
const holds = (value: unknown): void | Promise<void> => {
  note(value)
  runs += 1
  return check(value)
}
const property = waits
  ? fc.asyncProperty(arbitrary, (value) => Promise.resolve(holds(value)))
  : fc.property(arbitrary, (value) => void holds(value))
const outcome = await fc.check(property as fc.IAsyncProperty<[unknown]>, {
  seed: Number(seed),
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: Number(seconds) * 1000,
  examples: examplesOf(name).map(({ value }) => [value] as [unknown]),
})
for (const end of ends.toReversed()) await end()
closeSync(current)
process.stdout.write(`runs ${runs}\n`)
if (outcome.failed && outcome.counterexample !== null) {
  const kept = keep(name, outcome.counterexample[0])
  const error = outcome.errorInstance instanceof Error ? outcome.errorInstance.stack : String(outcome.errorInstance)
  process.stdout.write(`does not hold for ${kept}:\n${JSON.stringify(outcome.counterexample[0])}\n${error}\n`)
}
process.exit(outcome.failed && outcome.counterexample !== null ? 1 : 0)
