// A program started for every session spends half of its own start on compiling: V8's code cache, made at build time, saves that.
//   dist/programs/NAME         the loader
//   dist/programs/NAME.js      the program
//   dist/programs/NAME.cache   what V8 made of it in one short session; another V8 refuses it and compiles instead
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const loader = (node: string): string => `#!${node}
const { readFileSync } = require('node:fs')
const file = __filename + '.js'
let cachedData
try {
  cachedData = readFileSync(__filename + '.cache')
} catch {}
const script = new (require('node:vm').Script)(readFileSync(file, 'latin1'), { filename: file, cachedData })
script.runInThisContext()(require, __filename)
`

// The cache is taken at the end of a session, so that it holds the functions a session runs. The descriptor is opened first:
// authup gives its rights up.
const RECORDER = `
const { openSync, readFileSync, writeSync } = require('node:fs')
const [program, ...words] = process.argv.slice(1)
const file = program + '.js'
const fd = openSync(program + '.cache', 'w')
const script = new (require('node:vm').Script)(readFileSync(file, 'latin1'), { filename: file })
process.on('exit', () => writeSync(fd, script.createCachedData()))
process.argv = [process.argv[0], program, ...words]
script.runInThisContext()(require, program)
`

/** A session that needs nobody else. */
export interface Session {
  readonly words: readonly string[]
  readonly input: string
}

/** `bundle`: CommonJS text, ASCII. False if there is no cache; without one the program starts all the same. */
export function writeWithCache(program: string, bundle: string, session: Session): boolean {
  writeFileSync(`${program}.js`, `(function (require, __filename) {\n${bundle}\n})`)
  writeFileSync(program, loader(process.execPath))
  const home = mkdtempSync(join(tmpdir(), 'acceptd-build.'))
  mkdirSync(join(home, 'control'))
  writeFileSync(join(home, 'control/me'), 'build.example\n')
  writeFileSync(join(home, 'control/smtpcapabilities'), 'PIPELINING\n8BITMIME\n')
  writeFileSync(join(home, 'control/fixsmtpio'), readFileSync('control/fixsmtpio'))
  const ran = spawnSync(process.execPath, ['-e', RECORDER, '--', program, ...session.words], {
    input: session.input,
    env: { PATH: process.env['PATH'], QMAILHOME: home },
    timeout: 20_000,
  })
  rmSync(home, { recursive: true })
  if (ran.status !== 0) rmSync(`${program}.cache`, { force: true })
  return ran.status === 0
}
