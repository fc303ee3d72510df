// A program started for every session spends half of its own start on compiling: V8's code cache, made at build time, saves that.
//   dist/programs/NAME          the loader; NAME.js if native/ has the program
//   dist/programs/NAME.bundle   the program
//   dist/programs/NAME.cache    what V8 made of it in one short session; another V8 refuses it and compiles instead
import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

const loader = (node: string, name: string): string => `#!${node}
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const file = join(__dirname, '${name}.bundle')
let cachedData
try {
  cachedData = readFileSync(join(__dirname, '${name}.cache'))
} catch {}
const script = new (require('node:vm').Script)(readFileSync(file, 'latin1'), { filename: file, cachedData })
script.runInThisContext()(require, __filename)
`

/** The cache's descriptor comes from the build: authup.js may write no file there. */
const CACHE_FD = 9

/** Takes the loader's place for one session. It writes the cache at the end, so that it holds the functions a session runs. */
const recorder = (node: string, name: string): string => `#!${node}
const { readFileSync, writeSync } = require('node:fs')
const file = require('node:path').join(__dirname, '${name}.bundle')
const script = new (require('node:vm').Script)(readFileSync(file, 'latin1'), { filename: file })
process.on('exit', () => writeSync(${CACHE_FD}, script.createCachedData()))
script.runInThisContext()(require, __filename)
`

/** A session that needs nobody else. */
export interface Session {
  readonly words: readonly string[]
  readonly input: string
}

export interface Written {
  /** What is started for a session. */
  readonly program: string
  /** The loader. */
  readonly file: string
}

/** `bundle`: CommonJS text, ASCII. False if there is no cache; without one the program starts all the same. */
export function writeWithCache({ program, file }: Written, bundle: string, session: Session): boolean {
  const name = basename(program)
  writeFileSync(`${program}.bundle`, `(function (require, __filename) {\n${bundle}\n})`)
  writeFileSync(file, recorder(process.execPath, name))
  chmodSync(file, 0o755)
  const home = mkdtempSync(join(tmpdir(), 'acceptd-build.'))
  chmodSync(home, 0o755)
  mkdirSync(join(home, 'control'))
  writeFileSync(join(home, 'control/me'), 'build.example\n')
  writeFileSync(join(home, 'control/smtpcapabilities'), 'PIPELINING\n8BITMIME\n')
  writeFileSync(join(home, 'control/fixsmtpio'), readFileSync('control/fixsmtpio'))
  const cache = openSync(`${program}.cache`, 'w')
  const ran = spawnSync(program, session.words, {
    input: session.input,
    env: { PATH: process.env['PATH'], QMAILHOME: home },
    stdio: Array.from({ length: CACHE_FD + 1 }, (_, fd) => (fd < 3 ? 'pipe' : fd === CACHE_FD ? cache : 'ignore')),
    timeout: 20_000,
  })
  closeSync(cache)
  rmSync(home, { recursive: true })
  writeFileSync(file, loader(process.execPath, name))
  if (ran.status !== 0) rmSync(`${program}.cache`, { force: true })
  return ran.status === 0
}
