// Every command of README, docs and the examples of the manual pages is run by a test, or the reason why it cannot be is given.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { blocksOf } from '../support/markdown.ts'
import { COMMANDS, NEEDS, named, written } from './commands.ts'
import { read, TOP } from './pages.ts'

const pairs = (list: Iterable<readonly [string, Iterable<string>]>): readonly string[] =>
  [...list].flatMap(([document, commands]) => [...commands].map((command) => `${document}: ${command}`)).toSorted()

void test('every command that is written down has a row that says who runs it, and every row is written down', () => {
  assert.deepEqual(
    pairs(Object.entries(COMMANDS).map(([document, rows]) => [document, Object.keys(rows)] as const)),
    pairs([...written].map(([document, commands]) => [document, new Set(commands.map(named))] as const)),
  )
})

void test('the file that a row names runs it', () => {
  for (const [document, rows] of Object.entries(COMMANDS))
    for (const [command, claim] of Object.entries(rows)) {
      const what = `${document}: ${command}`
      if ('test' in claim) {
        assert.ok(existsSync(join(TOP, claim.test)), `${what}: there is no ${claim.test}`)
        assert.ok(read(claim.test).includes(claim.by), `${what}: ${claim.test} has no ${claim.by}`)
      }
      if ('cannot' in claim) assert.match(claim.cannot, /^\S.{20,}/, what)
    }
})

void test('every page of docs/recipes is typed by test/system/recipes.test.ts', () => {
  const tests = read('test/system/recipes.test.ts')
  for (const page of readdirSync(join(TOP, 'docs/recipes')).filter((name) => name.endsWith('.md')))
    assert.ok(tests.includes(`'${page}'`), page)
})

void test('a block of sh is for a test, or needs what no test has', () => {
  for (const folder of ['docs', 'docs/recipes'])
    for (const page of readdirSync(join(TOP, folder)).filter((name) => name.endsWith('.md')))
      for (const { info, line } of blocksOf(read(`${folder}/${page}`)))
        if (info.startsWith('sh '))
          assert.ok(Object.hasOwn(NEEDS, info.slice('sh '.length)), `${folder}/${page}:${line}: ${info}`)
})
