// The documents name files that exist, and what they link to is there.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { read, TOP } from './pages.ts'

const DOCUMENTS = ['', 'bench/', 'control/', 'docs/', 'docs/recipes/', 'native/'].flatMap((folder) =>
  readdirSync(join(TOP, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}${name}`),
)

/** A path of this clone in back quotes: it has a slash and begins with one of its folders. */
const NAMED = /`((?:\.ci|bench|control|docs|man|native|scripts|src|test)\/[\w./-]*[\w-])`/g

void test('HACKING.md says where things happen, in files that exist', () => {
  const named = [...read('HACKING.md').matchAll(NAMED)].map(([, path = '']) => path)
  assert.ok(named.length > 60, `only ${named.length} files are named`)
  assert.deepEqual(
    named.filter((path) => !existsSync(join(TOP, path))),
    [],
  )
})

void test('HACKING.md stays under 150 lines', () => {
  assert.ok(read('HACKING.md').split('\n').length <= 150)
})

void test('HACKING.md has a reason for every dependency, and for nothing else', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Readonly<
    Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
  >
  const section = /## Dependencies([\s\S]*?)(?:\n## |$)/.exec(read('HACKING.md'))?.[1] ?? ''
  const listed = [...section.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) => cell.split(', '))
  const words = listed.filter((word) => !/^(at run time|for development|-+)$/.test(word.trim()))
  assert.deepEqual(words.toSorted(), Object.keys({ ...dependencies, ...devDependencies }).toSorted())
})

void test('CHANGES.md has a version and a date over each list, newest first, and begins with the version of the package', () => {
  const all = [...read('CHANGES.md').matchAll(/^## (.*)$/gm)].map(([, head = '']) => head)
  const heads = all[0] === 'Unreleased' ? all.slice(1) : all
  for (const head of heads) assert.match(head, /^\d+\.\d+\.\d+, \d{4}-\d\d-\d\d$/)
  const dates = heads.map((head) => head.split(', ')[1] ?? '')
  assert.deepEqual(dates, dates.toSorted().toReversed())
  const { version } = JSON.parse(read('package.json')) as { readonly version: string }
  assert.equal(heads[0]?.split(', ')[0], version)
})

void test('every decision, and everything that was tried for speed, has its date and its commit', () => {
  for (const document of ['docs/decisions.md', 'bench/log.md']) {
    const rows = read(document)
      .split('\n')
      .filter((line) => /^\| (?!date)/.test(line))
    assert.ok(rows.length > 10)
    for (const row of rows) assert.match(row, /^\| \d{4}-\d\d-\d\d \| [0-9a-f]{7} \|/)
  }
})

void test('the issue template asks for --check, a transcript and a standalone reproduction', () => {
  const template = read('.github/ISSUE_TEMPLATE/bug.md')
  for (const asked of ['`acceptd --check`', 'Transcript', 'Standalone reproduction'])
    assert.ok(template.includes(asked), asked)
})

void test('what a document links to is there', () => {
  const broken = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(TOP, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  )
  assert.deepEqual(broken, [])
})
