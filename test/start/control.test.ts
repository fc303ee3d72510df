import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { compileConfig } from '../../src/config/config.ts'
import { readControl } from '../../src/config/generations.ts'
import { KNOBS } from '../../src/config/knobs.ts'
import { TOP } from '../system/machine.ts'

void test('control/README.md has a row for every knob, in the words of the table that acceptd reads', () => {
  const rows = readFileSync(join(TOP, 'control/README.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '')))
  const fallbackOf = (fallback: string | undefined): string =>
    fallback === undefined ? 'none' : fallback === '' ? 'empty' : fallback.replace(/^control\/(.*)$/, '`$1`')
  assert.deepEqual(
    rows.map(([name, about, fallback, , changes]) => [name, about, fallback, changes]),
    KNOBS.map(({ name, about, fallback, changes }) => [`\`${name}\``, about, fallbackOf(fallback), changes]),
  )
})

void test('the initial control directory is valid as it is, and holds nothing that nobody reads', () => {
  const read = readControl(join(TOP, 'control'))
  assert.deepEqual(read.errors, [])
  const compiled = compileConfig(read.texts)
  assert.deepEqual(compiled.isErr() ? compiled.error : [], [])
  const names: readonly string[] = KNOBS.map(({ name }) => name)
  assert.deepEqual(
    readdirSync(join(TOP, 'control')).filter((name) => name !== 'README.md' && !names.includes(name)),
    [],
  )
})
