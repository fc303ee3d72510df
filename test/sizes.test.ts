// A function fits a screen, and a file holds one idea. What is larger has a line in EXCEPTIONS that says why.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { test } from 'node:test'

const FUNCTION_LINES = 80
const FILE_LINES = 400

/** `file` or `file function`, file as seen from src; and why it is larger. */
const EXCEPTIONS: Readonly<Record<string, string>> = {}

interface Finding {
  readonly filename: string
  readonly message: string
}

/** Names what is too large in this folder, as EXCEPTIONS does. */
function tooLarge(folder: string): readonly string[] {
  const scratch = mkdtempSync(join(tmpdir(), 'acceptd-sizes-'))
  const config = join(scratch, 'oxlint.json')
  const rules = {
    'eslint/max-lines-per-function': ['error', { max: FUNCTION_LINES, IIFEs: true }],
    'eslint/max-lines': ['error', { max: FILE_LINES }],
  }
  writeFileSync(config, JSON.stringify({ categories: { correctness: 'off' }, rules }))
  const ran = spawnSync('node_modules/.bin/oxlint', ['-c', config, '-f', 'json', folder], { encoding: 'utf8' })
  rmSync(scratch, { recursive: true })
  const { diagnostics, number_of_files: files } = JSON.parse(ran.stdout) as {
    readonly diagnostics: readonly Finding[]
    readonly number_of_files: number
  }
  assert.ok(files > 0)
  return diagnostics.map(({ filename, message }) =>
    [relative(folder, filename), ...(/^The .*function `(.*)`/.exec(message)?.slice(1) ?? [])].join(' '),
  )
}

void test(`a function of src has at most ${FUNCTION_LINES} lines and a file ${FILE_LINES}, and no exception outlives its need`, () => {
  assert.deepEqual([...new Set(tooLarge('src'))].toSorted(), Object.keys(EXCEPTIONS).toSorted())
})

void test('the same bounds hold in scripts and bench, without an exception', () => {
  assert.deepEqual([...tooLarge('scripts'), ...tooLarge('bench')], [])
})

void test('a file of test has at most as many lines, and so has one in C', () => {
  const filesIn = (folder: string, kind: RegExp): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => kind.test(name))
      .map((name) => join(folder, name))
  const all = [...filesIn('test', /\.(ts|c)$/), ...filesIn('native', /\.[ch]$/), ...filesIn('bench', /\.[ch]$/)]
  const lines = (file: string): number => readFileSync(file, 'utf8').split('\n').length - 1
  assert.deepEqual(
    all.filter((file) => lines(file) > FILE_LINES),
    [],
  )
})

void test('the bounds see a function of 81 lines and a file of 401, and none of 80 and 400', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-sizes-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const withLines = (lines: number): string => `export function f() {\n${'  f()\n'.repeat(lines - 2)}}\n`
  writeFileSync(join(folder, 'short.ts'), withLines(FUNCTION_LINES))
  writeFileSync(join(folder, 'long.ts'), withLines(FUNCTION_LINES + 1))
  writeFileSync(join(folder, 'small.ts'), 'f()\n'.repeat(FILE_LINES))
  writeFileSync(join(folder, 'large.ts'), 'f()\n'.repeat(FILE_LINES + 1))
  assert.deepEqual(tooLarge(folder).toSorted(), ['large.ts', 'long.ts f'])
})
