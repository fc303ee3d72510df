// The manual pages under the linter of Debian's mandoc.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { complaints, pages } from '../docs/pages.ts'
import { run } from './run.ts'

void test('mandoc -Tlint has nothing to say about a manual page', async () => {
  const { stdout } = await run(['mandoc', '-Tlint', ...pages.map(({ path }) => path)])
  assert.deepEqual(complaints(stdout), [])
})

void test('every page can be formatted', async () => {
  for (const { path, name } of pages) {
    const { code, stdout } = await run(['mandoc', '-Tutf8', path])
    assert.equal(code, 0)
    assert.ok(stdout.startsWith(name.toUpperCase()), path)
  }
})
