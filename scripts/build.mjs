// Builds the clone from whatever state it is in: packages, TypeScript, the C programs of native/, the programs in dist/programs.
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'
import { reasonToInstall } from './packages.mjs'

const PROGRAMS = ['acceptd.js', 'acceptd', 'acceptctl', 'acceptd-maildir', 'accept-helper', 'checknotroot']
const SOURCES = ['src', 'native', 'scripts', 'package-lock.json', 'tsconfig.json']
export const COMPILER = 'On Debian or Ubuntu: apt-get install gcc make libc6-dev'

/** @type {readonly { readonly tool: string, readonly reason: string, readonly remedy: string }[]} */
const TOOLS = [
  { tool: 'npm', reason: 'its packages come by npm', remedy: 'On Debian or Ubuntu: apt-get install npm' },
  { tool: 'make', reason: 'its helper is a C program', remedy: COMPILER },
  { tool: 'cc', reason: 'its helper is a C program', remedy: COMPILER },
]

/**
 * Ends this process with a sentence and, if there is one, the exact remedy.
 * @param {string} problem
 * @param {string} [remedy]
 * @returns {never}
 */
function fail(problem, remedy) {
  process.stderr.write(`build: ${problem}\n${remedy === undefined ? '' : `${remedy}\n`}`)
  process.exit(1)
}

/**
 * Where the shell would find it.
 * @param {string} name
 * @returns {string | undefined}
 */
export function which(name) {
  return (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * Milliseconds: of this file, or of the youngest file in this folder.
 * @param {string} path
 * @returns {number}
 */
function newest(path) {
  const at = statSync(path)
  return at.isDirectory() ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name)))) : at.mtimeMs
}

/**
 * Why acceptd cannot be started as it is, or undefined.
 * @param {string} top
 * @returns {string | undefined}
 */
export function reasonToBuild(top) {
  const files = PROGRAMS.map((name) => join(top, 'dist/programs', name))
  const [script = '', ...others] = files
  if (!existsSync(script) || others.some((file) => !existsSync(file))) return 'it is not built yet'
  if (!readFileSync(script, 'latin1').startsWith(`#!${process.execPath}\n`)) return 'it was built for another Node'
  // Written last by the build.
  const stamp = join(top, 'dist/programs/package.json')
  const built = existsSync(stamp) ? statSync(stamp).mtimeMs : 0
  return SOURCES.some((name) => newest(join(top, name)) > built) ? 'its sources have changed' : undefined
}

/**
 * Runs one step, saying what it is and how long it took; a failure ends this process with the step's exit code.
 * @param {{ readonly name: string, readonly command: string, readonly args: readonly string[], readonly remedy?: string }} step
 * @param {{ readonly top: string, readonly out: NodeJS.WriteStream, readonly shown: boolean }} context
 */
async function take({ name, command, args, remedy }, { top, out, shown }) {
  const started = Date.now()
  if (shown) out.write(`${name} ... `)
  const { code, signal, output } = await run(command, args, { cwd: top })
  if (code !== 0) {
    out.write(`failed\n${output}\n`)
    process.exitCode = code ?? 1
    process.stderr.write(
      `build: ${name}: ${command} ${args.join(' ')} ${code === null ? (signal ?? 'could not be started') : `exited ${code}`}\n`,
    )
    if (remedy !== undefined) process.stderr.write(`${remedy}\n`)
    process.exit()
  }
  if (output.includes('warning')) out.write(`\n${output}`)
  if (shown) out.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

/**
 * @param {string} top
 * @param {{ readonly out?: NodeJS.WriteStream, readonly shown?: boolean }} [options] where progress goes, and whether it is shown
 */
export async function build(top, { out = process.stdout, shown = process.env['CI'] === 'true' || out.isTTY } = {}) {
  const install = reasonToInstall(top)
  for (const { tool, reason, remedy } of TOOLS)
    if ((tool !== 'npm' || install !== undefined) && which(tool) === undefined)
      fail(`${reason}, and there is no ${tool} here.`, remedy)
  const context = { top, out, shown }
  // What the build itself needs is installed even where NODE_ENV or npm's configuration leave it out.
  const npm = ['ci', '--no-progress', '--include=dev', '--include=optional']
  if (install !== undefined) await take({ name: 'npm ci', command: 'npm', args: npm }, context)
  await take({ name: 'typescript', command: 'node_modules/.bin/tsc', args: ['-b'] }, context)
  const make = ['-C', 'native', '-s', 'OUT=../dist/programs']
  await take({ name: 'native', command: 'make', args: make, remedy: COMPILER }, context)
  await take({ name: 'programs', command: process.execPath, args: ['dist/scripts/programs.js'] }, context)
}
