// What npm start and npm run build do in a clone that is not ready: without packages, with other packages, without a compiler, interrupted.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { missingPackages, thisPlatform } from '../../scripts/packages.mjs'
import { inPath, read, TOP } from '../docs/pages.ts'
import { isAlive, picture, treeOf, until } from '../system/processes.ts'

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly resolved?: string }>>
}

void test('every package of the lock file has its integrity, and none names where it came from', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as Lock
  const wrong = Object.entries(packages)
    .filter(([folder, { integrity, resolved }]) => folder !== '' && (integrity === undefined || resolved !== undefined))
    .map(([folder]) => folder)
  assert.deepEqual(wrong, [])
})

const HERE = { os: 'linux', cpu: 'x64', libc: 'glibc' }
const ONE = { version: '1.0.0', integrity: 'sha512-a' }

const CASES: readonly {
  readonly name: string
  readonly wanted?: object
  readonly installed?: Readonly<Record<string, object>>
  readonly gone?: boolean
  readonly missing: boolean
}[] = [
  { name: 'as the lock file says', missing: false },
  { name: 'pruned', installed: {}, missing: true },
  { name: 'another version', installed: { 'node_modules/a': { ...ONE, version: '1.0.1' } }, missing: true },
  { name: 'another content', installed: { 'node_modules/a': { ...ONE, integrity: 'sha512-b' } }, missing: true },
  { name: 'removed by hand', gone: true, missing: true },
  { name: 'for another system', wanted: { ...ONE, os: ['darwin'] }, installed: {}, missing: false },
  { name: 'for another processor', wanted: { ...ONE, cpu: ['arm64'] }, installed: {}, missing: false },
  { name: 'for another C library', wanted: { ...ONE, libc: ['musl'] }, installed: {}, missing: false },
  {
    name: 'for this host',
    wanted: { ...ONE, os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
    installed: {},
    missing: true,
  },
]

void test('packages are missing when npm has not installed what the lock file lists for this host', () => {
  for (const { name, wanted = ONE, installed = { 'node_modules/a': ONE }, gone = false, missing } of CASES)
    assert.deepEqual(
      missingPackages({ '': {}, 'node_modules/a': wanted }, installed, HERE, () => !gone),
      missing ? ['node_modules/a'] : [],
      name,
    )
})

void test('a clone after npm ci misses nothing', () => {
  const lock = JSON.parse(read('package-lock.json')) as Lock
  const installed = JSON.parse(read('node_modules/.package-lock.json')) as Lock
  assert.deepEqual(
    missingPackages(lock.packages, installed.packages, thisPlatform(), (folder) => existsSync(join(TOP, folder))),
    [],
  )
})

const LOCKED = { packages: { '': {}, 'node_modules/a': ONE } }

interface Stump {
  readonly top: string
  /** Replaces a tool by a script of sh. */
  readonly tool: (path: string, script: string) => void
  readonly env: NodeJS.ProcessEnv
}

/** A clone of the scripts alone, with one package, where npm, make, cc and tsc do nothing unless they are replaced. */
function stump(t: TestContext, { installed = true } = {}): Stump {
  const top = mkdtempSync(join(tmpdir(), 'acceptd-build-'))
  t.after(() => rmSync(top, { recursive: true, force: true }))
  for (const name of ['scripts', 'package.json', 'tsconfig.json', '.npmrc'])
    cpSync(join(TOP, name), join(top, name), { recursive: true })
  for (const folder of ['bin', 'native', 'src', 'node_modules/a', 'node_modules/.bin'])
    mkdirSync(join(top, folder), { recursive: true })
  writeFileSync(join(top, 'package-lock.json'), JSON.stringify(LOCKED))
  writeFileSync(join(top, 'node_modules/a/package.json'), '{}')
  if (installed) writeFileSync(join(top, 'node_modules/.package-lock.json'), JSON.stringify(LOCKED))
  const tool = (path: string, script: string): void => {
    writeFileSync(join(top, path), `#!/bin/sh\n${script}\n`)
    chmodSync(join(top, path), 0o755)
  }
  for (const path of ['bin/npm', 'bin/make', 'bin/cc', 'node_modules/.bin/tsc']) tool(path, 'exit 0')
  for (const name of ['sh', 'sleep', 'touch']) symlinkSync(inPath(name) ?? '', join(top, 'bin', name))
  symlinkSync(process.execPath, join(top, 'bin/node'))
  return { top, tool, env: { PATH: join(top, 'bin'), HOME: top } }
}

const build = ({ top, env }: Stump, env2: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [join(top, 'scripts/run.mjs')], { env: { ...env, ...env2 }, encoding: 'utf8' })

void test('a missing tool is named, with how to get it', (t) => {
  const rows = [
    { tool: 'make', said: 'there is no make here.\nOn Debian or Ubuntu: apt-get install gcc make libc6-dev\n' },
    { tool: 'cc', said: 'there is no cc here.\nOn Debian or Ubuntu: apt-get install gcc make libc6-dev\n' },
    { tool: 'npm', said: 'there is no npm here.\nOn Debian or Ubuntu: apt-get install npm\n' },
  ]
  for (const { tool, said } of rows) {
    const clone = stump(t, { installed: false })
    rmSync(join(clone.top, 'bin', tool))
    const { status, stderr } = build(clone)
    assert.equal(status, 1, tool)
    assert.ok(stderr.startsWith('build: ') && stderr.endsWith(said), stderr)
  }
})

void test('a build installs packages that are missing, changed or incomplete, those for development too', (t) => {
  const broken: readonly (readonly [name: string, breakIt: (top: string) => void])[] = [
    ['no node_modules', (top) => rmSync(join(top, 'node_modules'), { recursive: true })],
    ['an install that was cut short', (top) => rmSync(join(top, 'node_modules/.package-lock.json'))],
    ['a package without its files', (top) => rmSync(join(top, 'node_modules/a'), { recursive: true })],
    [
      'another lock file',
      (top) =>
        writeFileSync(
          join(top, 'package-lock.json'),
          JSON.stringify({ packages: { 'node_modules/a': { ...ONE, version: '2.0.0' } } }),
        ),
    ],
  ]
  for (const [name, breakIt] of broken) {
    const clone = stump(t)
    clone.tool('bin/npm', 'echo "$@" >asked; exit 7')
    // It fails at its last step, which needs what tsc would have compiled.
    assert.equal(build(clone).status, 1)
    assert.ok(!existsSync(join(clone.top, 'asked')), name)
    breakIt(clone.top)
    const { status, stderr } = build(clone, { NODE_ENV: 'production' })
    assert.equal(status, 7, name)
    assert.match(stderr, /^build: npm ci: npm ci .* exited 7\n$/)
    assert.match(readFileSync(join(clone.top, 'asked'), 'utf8'), /^ci .*--include=dev --include=optional\n$/)
  }
})

void test('a step that fails shows what it said; one that a signal ended or that could not be started is named', (t) => {
  const clone = stump(t)
  clone.tool('bin/make', 'echo crypt.h is missing >&2; exit 2')
  const failed = build(clone)
  assert.equal(failed.status, 2)
  assert.match(failed.stdout, /crypt\.h is missing/)
  assert.match(failed.stderr, /^build: native: make .* exited 2\nOn Debian or Ubuntu: apt-get install/)
  clone.tool('bin/make', 'kill -9 $$')
  assert.match(build(clone).stderr, /^build: native: make .* SIGKILL\n/)
  rmSync(join(clone.top, 'node_modules/.bin/tsc'))
  assert.match(build(clone).stderr, /^build: typescript: node_modules\/\.bin\/tsc -b could not be started\n/)
})

const NPM = inPath('npm') ?? ''
const CLEANS_UP =
  // Cleaning up takes time, and npm has to allow it.
  'trap \'sleep 1; kill $!; touch "$0.cleaned"; exit 130\' INT; sleep 30 & touch "$0.started"; wait; touch "$0.late"'

async function interrupted(child: ChildProcess, started: string): Promise<void> {
  await until('the step to start', () => existsSync(started))
  const exited = once(child, 'exit')
  // As a terminal does it: to the whole group.
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await exited
}

void test('after Ctrl-C in npm start the prompt comes back when the step has cleaned up, and nothing keeps running', async (t) => {
  const steps = [
    { path: 'bin/npm', installed: false },
    { path: 'node_modules/.bin/tsc', installed: true },
    { path: 'bin/make', installed: true },
  ]
  await Promise.all(
    steps.map(async ({ path, installed }) => {
      const clone = stump(t, { installed })
      clone.tool(path, CLEANS_UP)
      const child = spawn(NPM, ['start'], { cwd: clone.top, env: clone.env, detached: true, stdio: 'ignore' })
      const file = join(clone.top, path)
      const tree = until('the step to start', () => existsSync(`${file}.started`)).then(() => treeOf(child.pid ?? 0))
      await interrupted(child, `${file}.started`)
      assert.ok(existsSync(`${file}.cleaned`), path)
      assert.equal(picture((await tree).filter(({ pid }) => isAlive(pid))), '', path)
    }),
  )
})
