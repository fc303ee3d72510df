// npm run release: what a release consists of, in dist/release, from the commit that is checked out and from nothing else.
//
//   git archive HEAD ──> two folders, each built by itself ──> the same bytes? ──> the Debian package, the archive for npm
//                                                              npm sbom        ──> what the programs are bundled from
//                                                              SHA256SUMS      ──> of all of them
//
// Times are those of SOURCE_DATE_EPOCH, or of the newest version in CHANGES.md.
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { run } from './command.mjs'

const TO = resolve('dist/release')
const SBOM = 'acceptd.cdx.json'

class Failure extends Error {}

async function must(command: string, args: readonly string[], cwd = process.cwd()): Promise<string> {
  const { code, output } = await run(command, args, { cwd })
  if (code !== 0) throw new Failure(`${output}${command} ${args.join(' ')} exited ${code}`)
  return output.trim()
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)
const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

/** Builds the commit in a folder of its own; gives the files, by name. */
async function build(commit: string, folder: string): Promise<ReadonlyMap<string, string>> {
  mkdirSync(folder, { recursive: true })
  const archive = join(folder, 'source.tar')
  await must('git', ['archive', '-o', archive, commit])
  await must('tar', ['-xf', archive, '-C', folder])
  rmSync(archive)
  await must('npm', ['run', 'package'], folder)
  await must('npm', ['pack', '--ignore-scripts', '--pack-destination', 'dist'], folder)
  const files = readdirSync(join(folder, 'dist')).filter((name) => /\.(?:deb|tgz)$/.test(name))
  return new Map(files.map((name) => [name, join(folder, 'dist', name)]))
}

/** What the programs are bundled from: packages, versions, licences. No number and no time that changes from run to run. */
async function bill(folder: string): Promise<string> {
  const sbom = JSON.parse(await must('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], folder)) as {
    serialNumber?: string
    metadata: { timestamp?: string }
  }
  delete sbom.serialNumber
  delete sbom.metadata.timestamp
  return `${JSON.stringify(sbom, undefined, 2)}\n`
}

async function release(parent: string): Promise<void> {
  const changed = await must('git', ['status', '--porcelain'])
  if (changed !== '') throw new Failure(`commit these first, since a release is made from a commit:\n${changed}`)
  const commit = await must('git', ['rev-parse', 'HEAD'])
  // npm calls what it lists by the folder's name.
  const places = [join(parent, 'first', 'acceptd'), join(parent, 'second', 'acceptd')] as const
  say(`building ${commit}`)
  const first = await build(commit, places[0])
  say('building it again')
  const second = await build(commit, places[1])
  for (const [name, file] of first) {
    const again = second.get(name)
    if (again === undefined || sha256(file) !== sha256(again))
      throw new Failure(`two builds of ${name} differ: compare ${file} with ${again ?? 'nothing'}`)
  }
  rmSync(TO, { recursive: true, force: true })
  mkdirSync(TO, { recursive: true })
  for (const [name, file] of first) copyFileSync(file, join(TO, name))
  writeFileSync(join(TO, SBOM), await bill(places[0]))
  const names = readdirSync(TO).toSorted()
  const sums = names.map((name) => `${sha256(join(TO, name))}  ${name}\n`).join('')
  writeFileSync(join(TO, 'SHA256SUMS'), sums)
  process.stdout.write(`two builds gave the same bytes; dist/release:\n${sums}`)
}

const scratch = mkdtempSync(join(tmpdir(), 'acceptd-release-'))
try {
  await release(scratch)
  rmSync(scratch, { recursive: true })
} catch (error) {
  if (!(error instanceof Failure)) throw error
  // The folders stay, to be looked at.
  process.stderr.write(`release: ${error.message}\n`)
  process.exitCode = 1
}
