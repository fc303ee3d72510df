// What was found once, and what leads into each parser, still holds: the kept corpus of every target of npm run fuzz, and some random values.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { NATIVE_TARGETS, replayArguments } from './native.ts'
import { CORPUS, examplesOf } from './target.ts'
import { targets } from './targets.ts'

/** Values of a target here, and of one that waits for sockets and processes; npm run fuzz takes as many as there is time for. */
const RUNS = 30
const WAITING_RUNS = 8

void describe('a fuzz target holds for its corpus and some more', () => {
  for (const target of targets)
    void it(`${target.name}: ${target.about}`, async (t) => {
      const { arbitrary, check, waits } = await target.open({ after: (end) => t.after(() => end()) })
      for (const { file, value } of examplesOf(target.name))
        await assert.doesNotReject(async () => check(value), `${CORPUS}/${target.name}/${file}`)
      const property = waits
        ? fc.asyncProperty(arbitrary, (value) => Promise.resolve(check(value)))
        : fc.property(arbitrary, (value) => void check(value))
      await fc.assert(property as fc.IAsyncProperty<[unknown]>, { numRuns: waits ? WAITING_RUNS : RUNS })
    })
})

/** Both streams of a command that has to exit 0. */
async function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
    })
  const [code] = (await once(child, 'close')) as [number | null]
  assert.equal(code, 0, `${command} ${args.join(' ')}\n${text.slice(-4000)}`)
  return text
}

void describe('a parser in C takes its corpus under the sanitizers', { concurrency: 2 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-fuzz-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  for (const { name, about } of NATIVE_TARGETS)
    void it(`${name}: ${about}`, async () => {
      const program = join(folder, name)
      await output('cc', replayArguments(name, program))
      const corpus = join(CORPUS, name)
      const ran = await output(program, [corpus])
      assert.equal(ran.trim().split('\n').length, readdirSync(corpus).length)
    })
})

void it('every folder of the corpus is that of a target', () => {
  const names = [...targets, ...NATIVE_TARGETS].map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  assert.ok(existsSync(CORPUS))
  assert.deepEqual(
    readdirSync(CORPUS).filter((name) => !names.includes(name)),
    [],
  )
})
