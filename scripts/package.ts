// npm run package, after the build: dist/acceptd_VERSION_ARCHITECTURE.deb, from what `make install` installs and packaging/debian.
// The same sources make the same bytes: times come from SOURCE_DATE_EPOCH, or from the newest entry of CHANGES.md.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { run } from './command.mjs'
import { releaseDate } from './release-date.ts'

const ROOT = resolve('dist/debian')
const SOURCE = 'packaging/debian'
const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const

async function must(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { code, output } = await run(command, args, { env })
  if (code === 0) return output.trim()
  process.stderr.write(`${output}package: ${command} ${args.join(' ')} exited ${code}\n`)
  process.exit(1)
}

/** Paths below ROOT of all files, in order. */
const filesBelow = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .toSorted()

/** Manual pages and the list of changes, as Debian wants them. */
function compress(file: string): void {
  const path = join(ROOT, file)
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
  rmSync(path)
}

const packageFile = (name: string, text: string, mode: number): void => {
  writeFileSync(join(ROOT, 'DEBIAN', name), text)
  chmodSync(join(ROOT, 'DEBIAN', name), mode)
}

function setTimes(folder: string, seconds: number): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) setTimes(path, seconds)
    else if (entry.isFile()) utimesSync(path, seconds, seconds)
  }
  utimesSync(folder, seconds, seconds)
}

/** What /etc holds belongs to the administrator; everything else is named by `make install`. */
async function fill(version: string, architecture: string): Promise<void> {
  rmSync(ROOT, { recursive: true, force: true })
  mkdirSync(ROOT)
  process.umask(0o022)
  await must('make', ['-s', 'install', `DESTDIR=${ROOT}`, 'PREFIX=/usr', 'NODE=/usr/bin/node'])
  for (const file of filesBelow('usr/share/man')) compress(file)
  compress('usr/share/doc/acceptd/CHANGES.md')
  writeFileSync(join(ROOT, 'usr/share/doc/acceptd/copyright'), readFileSync('LICENSE'))
  const size = filesBelow('.').reduce((sum, file) => sum + statSync(join(ROOT, file)).size, 0)
  mkdirSync(join(ROOT, 'DEBIAN'))
  const conffiles = filesBelow('etc').map((file) => `/${file}\n`)
  packageFile('conffiles', conffiles.join(''), 0o644)
  const fields = { VERSION: version, ARCHITECTURE: architecture, SIZE: String(Math.ceil(size / 1024)) }
  const control = Object.entries(fields).reduce(
    (text, [name, value]) => text.replace(`@${name}@`, value),
    readFileSync(join(SOURCE, 'control'), 'utf8'),
  )
  packageFile('control', control, 0o644)
  for (const name of SCRIPTS) packageFile(name, readFileSync(join(SOURCE, name), 'utf8'), 0o755)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { version: { type: 'string' }, 'no-build': { type: 'boolean' } } })
  const { version: ours } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string }
  const version = values.version ?? ours
  const architecture = await must('dpkg', ['--print-architecture'])
  const seconds = releaseDate()
  await fill(version, architecture)
  setTimes(ROOT, seconds)
  const file = `dist/acceptd_${version}_${architecture}.deb`
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(seconds) }
  await must('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', ROOT, file], env)
  rmSync(ROOT, { recursive: true })
  process.stdout.write(`${file}\n`)
}

await main()
