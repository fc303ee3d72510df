// How much of native/ has to be read before it is installed. A line counts unless it is empty or holds nothing but a comment.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

interface Part {
  readonly what: string
  readonly files: readonly string[]
  /** Lines of code; native/README.md names the same. */
  readonly most?: number
}

const PARTS: readonly Part[] = [
  {
    what: 'as root, for as long as acceptd runs and for each login',
    files: 'accept-helper.c login.c chains.c verify.c base.c say.c helper.h base.h checkpassword.c'.split(' '),
    most: 934,
  },
  { what: 'as root in a login by a chain with `verified`', files: ['cache.c'], most: 71 },
  { what: 'as the user, or it refuses', files: ['handover.c', 'checknotroot.c'], most: 34 },
  { what: 'as root, when acceptd starts', files: ['acceptd.c', 'acceptd.h'], most: 122 },
  { what: 'as the account', files: 'clerk.c watch.c serve.c launch.c launch.h acceptd-notify.c'.split(' ') },
  { what: 'as whoever starts them', files: ['authup.c', 'authup-helper.c', 'reup.c'] },
]

/** Longer lines would be a way to get by with fewer. */
const WIDTH = 140

const source = (name: string): string => readFileSync(join('native', name), 'utf8')

function linesOfCode(text: string): number {
  const code = text.replace(
    /("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\/\*[\s\S]*?\*\//g,
    (_, literal?: string) => literal ?? '',
  )
  return code.split('\n').filter((line) => line.trim() !== '').length
}

void test('a line counts if there is code in it', () => {
  assert.equal(linesOfCode('int a; /* one\n  more */\n\n/* no */\nchar *b = "/*"; /* "x" */\nchar c = \'"\';\n'), 3)
})

for (const { what, files, most } of PARTS)
  void test(`what runs ${what} ${most === undefined ? 'has no line over' : `has at most ${most} lines of code, none over`} ${WIDTH} characters`, () => {
    const lines = files.reduce((sum, name) => sum + linesOfCode(source(name)), 0)
    if (most !== undefined) {
      assert.ok(lines <= most, `${lines}`)
      assert.ok(lines > most - 10, `${lines}: the bound can be lower`)
      assert.match(readFileSync('native/README.md', 'utf8'), new RegExp(`\\b${most}\\b`))
    }
    for (const name of files)
      for (const [at, line] of source(name).split('\n').entries())
        assert.ok(line.length <= WIDTH, `${name}:${at + 1} has ${line.length}`)
  })

void test('every file of native/ is one of these', () => {
  const all = readdirSync('native').filter((name) => /\.[ch]$/.test(name))
  assert.deepEqual(PARTS.flatMap(({ files }) => files).toSorted(), all.toSorted())
})
