// README.md's list of clients and the rows of the system tests are the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FETCHING, SUBMITTING } from '../system/tls-clients.ts'
import { read } from './pages.ts'

const rows = [
  ...(/## Clients\n([\s\S]*?)\n## /.exec(read('README.md'))?.[1] ?? '').matchAll(
    /^\| ([^|]+) \| (yes )?\| (yes )?\|$/gm,
  ),
].map(([, name = '', submits, fetches]) => ({ name, submits: submits !== undefined, fetches: fetches !== undefined }))

for (const [what, tested] of [
  ['submits', SUBMITTING],
  ['fetches', FETCHING],
] as const)
  void test(`README.md says of each client that ${what} in the system tests that it does, and of no other`, () => {
    assert.deepEqual(
      rows
        .filter((row) => row[what])
        .map(({ name }) => name)
        .toSorted(),
      Object.keys(tested).toSorted(),
    )
  })
