// The manual pages are the specification: they must be well formed, and name every program, knob, command, log line and reply there is.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseChains } from '../../src/config/chains.ts'
import { KNOBS } from '../../src/config/knobs.ts'
import { COMPONENT_OF, LOG_COMPONENTS } from '../../src/contract/log.ts'
import { FAULTS } from '../../src/protocol/dialogue.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { complaints, inPath, type Page, page, pages, read, TOP } from './pages.ts'

/** Manuals of others that ours refer to. */
const OTHERS = ['chrt.1', 'crypt.3', 'fnmatch.3', 'multilog.8', 'shadow.5', 'supervise.8', 'syslog.3', 'systemd.1']

function structure({ file, name, section, lines, text }: Page): string[] {
  const wrong: string[] = []
  const head = lines.slice(0, 5).map((line) => line.split(' ').slice(0, 1)[0])
  if (head.join(' ') !== '.Dd .Dt .Os .Sh .Nm') wrong.push(`begins ${head.join(' ')}`)
  if (lines[1] !== `.Dt ${name.toUpperCase()} ${section}`) wrong.push(`its .Dt is ${lines[1]}`)
  const open: string[] = []
  let literal = false
  lines.forEach((line, i) => {
    const [macro = ''] = line.split(' ')
    if (macro === '.Bl' || macro === '.Bd') open.push(macro)
    if (macro === '.El' && open.pop() !== '.Bl') wrong.push(`${i + 1}: .El without .Bl`)
    if (macro === '.Ed' && open.pop() !== '.Bd') wrong.push(`${i + 1}: .Ed without .Bd`)
    if (macro === '.Bd') literal = true
    if (macro === '.Ed') literal = false
    if (!literal && !line.startsWith('.') && line.length > 80) wrong.push(`${i + 1}: longer than 80 characters`)
    if (/[ \t]$/.test(line)) wrong.push(`${i + 1}: ends with a space`)
  })
  if (open.length > 0) wrong.push(`${open.join(' ')} left open`)
  for (const needed of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'SEE ALSO']) {
    const file5 = section === '5' && (needed === 'SYNOPSIS' || needed === 'EXIT STATUS')
    if (!file5 && !text.includes(`\n.Sh ${needed}\n`)) wrong.push(`no ${needed}`)
  }
  for (const [, other = '', number = ''] of text.matchAll(/^\.Xr (\S+) (\d)/gm)) {
    const known = pages.some((one) => one.file === `${other}.${number}`) || OTHERS.includes(`${other}.${number}`)
    if (!known) wrong.push(`refers to ${other}(${number})`)
  }
  return wrong.map((each) => `man/${file}: ${each}`)
}

void test('every page is well formed and refers only to pages that exist', () => {
  assert.deepEqual(pages.flatMap(structure), [])
})

void test('mandoc has nothing to say about them', (t) => {
  if (inPath('mandoc') === undefined) {
    t.skip('no mandoc here; test/system/man.test.ts has it installed')
    return
  }
  const ran = spawnSync('mandoc', ['-Tlint', ...pages.map(({ path }) => path)], { encoding: 'utf8' })
  assert.deepEqual(complaints(ran.stdout), [])
})

void test('every program has a page, under each of its names', () => {
  const { programs } = JSON.parse(read('scripts/programs.json')) as {
    programs: Readonly<Record<string, { aliases?: readonly string[] }>>
  }
  const native = /^PROGRAMS = (.*)$/m.exec(read('native/Makefile'))?.[1]?.split(' ') ?? []
  assert.ok(native.includes('accept-helper'))
  for (const name of [
    ...native,
    ...Object.entries(programs).flatMap(([first, { aliases = [] }]) => [first, ...aliases]),
  ])
    assert.ok(
      pages.some(({ section, text }) => section !== '5' && new RegExp(`^\\.Nm ${name}( ,)?$`, 'm').test(text)),
      `no page for ${name}`,
    )
})

void test('acceptd-control(5) has every knob, with when it changes', () => {
  const { text } = page('acceptd-control.5')
  const written = [...text.matchAll(/^\.It Cm (\S+) No \((\w+)\)$/gm)].map(([, name, when]) => `${name} ${when}`)
  assert.deepEqual(written.toSorted(), KNOBS.map(({ name, changes }) => `${name} ${changes}`).toSorted())
})

void test('acceptd-chains(5) has every word of control/chains', () => {
  const words = (text: string): readonly string[] =>
    parseChains(text, 'x').match(
      () => [],
      ([error]) => error?.hint.replace('write one of ', '').split(', ') ?? [],
    )
  const { text } = page('acceptd-chains.5')
  const all = [...words('nonsense x'), ...words('chain a\nnonsense x')]
  assert.ok(all.includes('max-processes') && all.includes('warm'))
  for (const word of all) assert.match(text, new RegExp(`^\\.It Cm ${word}( |$)`, 'm'))
})

void test('acceptctl(1) has every command, with the socket that answers it', () => {
  const { text } = page('acceptctl.1')
  for (const [name, { level }] of METHOD_MAP) {
    const line = text.split('\n').find((each) => new RegExp(`^\\.It Cm ${name.replace('.', ' ')}( |$)`).test(each))
    assert.ok(line !== undefined, name)
    assert.equal(line.endsWith('Pq control'), level === 'control', line)
  }
})

void test('authup(8) has every reply to a fault', () => {
  const { text } = page('authup.8')
  // These are the daemon's.
  const { blocked, limited, inuse, http, encrypt, tlsnow, proxied, ...faults } = FAULTS
  for (const { text: said } of [blocked, limited, inuse, http, encrypt, tlsnow, proxied])
    assert.ok(!text.includes(said))
  for (const { code, status, text: said } of Object.values(faults))
    assert.ok(text.includes(`\n.It ${code} Ta ${status} Ta ${said}\n`), said)
})

void test('acceptd(8) has every event of the log, with its level', () => {
  const { text } = page('acceptd.8')
  const sources = readdirSync(join(TOP, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  const events = new Set<string>()
  for (const file of sources)
    for (const [, level, event] of read(join('src', file)).matchAll(
      /\blog(?:Of)?\((?:session, )?'(error|warn|info|debug)', '([\w-]+)'/g,
    ))
      events.add(`${event} Ta ${level}`)
  assert.ok(events.has('login-failed Ta warn') && events.size > 15)
  for (const event of events) assert.ok(text.includes(`\n.It ${event} Ta `), event)
  for (const event of COMPONENT_OF.keys()) assert.ok(text.includes(`\n.It ${event} Ta `), event)
  const control = page('acceptd-control.5').text
  for (const component of LOG_COMPONENTS)
    assert.match(control, new RegExp(`^\\.It Cm ${component} Ta `, 'm'), component)
})
