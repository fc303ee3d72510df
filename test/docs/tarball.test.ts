// What `npm pack` contains: what runs and nothing else.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { read, TOP } from './pages.ts'

interface Packed {
  readonly files: readonly { readonly path: string }[]
}

const [packed] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: TOP, encoding: 'utf8' }),
) as readonly [Packed]
const paths = packed.files.map(({ path }) => path)

void test('the archive for npm has every program, as a script or as the C sources of one, and nothing that is built for one host', () => {
  const { programs } = JSON.parse(read('scripts/programs.json')) as {
    readonly programs: Readonly<Record<string, { readonly entry?: string; readonly launched?: boolean }>>
  }
  for (const [name, { entry, launched }] of Object.entries(programs)) {
    if (entry !== undefined) assert.ok(paths.includes(`dist/programs/${name}${launched ? '.js' : ''}`), name)
    if (entry === undefined || launched) assert.ok(paths.includes(`native/${name}.c`), name)
  }
  for (const name of readdirSync(join(TOP, 'native')).filter((one) => /\.[ch]$|^Makefile$/.test(one)))
    assert.ok(paths.includes(`native/${name}`), name)
  for (const path of paths) assert.notEqual(readFileSync(join(TOP, path), 'latin1').slice(1, 4), 'ELF', path)
})

void test('an installation by npm brings no other package, and neither sources nor tests', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { readonly dependencies?: unknown }
  assert.equal(dependencies, undefined)
  assert.deepEqual(
    paths.filter((path) =>
      /^(src|test|bench|node_modules)\/|^dist\/(?!programs\/|client\/)|\.cache$|\.map$/.test(path),
    ),
    [],
  )
})
