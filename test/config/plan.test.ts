// One plan says what a change would do: each row is what is loaded, what is on disk, and the outcome.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compileConfig } from '../../src/config/config.ts'
import type { Disk } from '../../src/config/generations.ts'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { type Plan, plan, planBack, planStart, withTexts } from '../../src/config/plan.ts'
import { controlTexts } from '../support/control.ts'
import { parseTranscripts } from '../support/transcript.ts'

const [plain] = parseTranscripts('# settings', '')
assert.ok(plain !== undefined)
const good: ControlTexts = controlTexts(plain.settings)
const loaded = { texts: good, config: compileConfig(good)._unsafeUnwrap() }

type Changes = Readonly<Record<string, string | undefined>>

function diskWith(changes: Changes, more: Partial<Disk> = {}): Disk {
  const texts: Record<string, string> = {}
  for (const [name, text] of Object.entries({ ...good, ...changes })) if (text !== undefined) texts[name] = text
  return { texts, errors: [], unknown: [], ...more }
}

/** `publish changed fixsmtpio; restart lanes`, or what is wrong. */
function said({ verdict, changed, needsRestart }: Plan): string {
  const rest = needsRestart.length === 0 ? '' : `; restart ${needsRestart.join(' ')}`
  switch (verdict.do) {
    case 'refuse':
      return `refuse ${verdict.errors.list.map(({ file, line }) => `${file}:${line}`).join(' ')}`
    case 'restart':
      return `needs ${verdict.files.join(' ')}`
    case 'unknown':
      return `no file ${verdict.file}`
    default:
      return `${verdict.do} ${changed.join(' ')}`.trim() + rest
  }
}

const unreadable = { file: 'control/listeners', line: 1, column: 1, problem: 'cannot be read: EACCES', hint: 'mend it' }

void describe('a plan', () => {
  for (const [what, changes, only, wanted, more] of [
    ['of nothing new', {}, undefined, 'nothing'],
    ['of a rule', { fixsmtpio: `${good.fixsmtpio}:noop::*::250 x\n` }, undefined, 'publish fixsmtpio'],
    ['of the access rules of one listener', { 'access-here': ':deny\n' }, undefined, 'publish access-here'],
    ['of those alone', { 'access-here': ':deny\n', lanes: '3\n' }, ['access-here'], 'publish access-here'],
    ['of a file that is gone', { timeoutsmtpd: undefined }, undefined, 'publish timeoutsmtpd'],
    ['of what only a restart reads', { lanes: '3\n' }, undefined, 'nothing; restart lanes'],
    ['of both', { lanes: '3\n', smtpgreeting: 'x\n' }, undefined, 'publish smtpgreeting; restart lanes'],
    [
      'of another account',
      { chains: `account 7\n${good.chains?.replace('account 1000\n', '')}` },
      undefined,
      'needs chains',
    ],
    ['of another socket', { chains: good.chains?.replace('/nowhere/', '/elsewhere/') }, undefined, 'needs chains'],
    ['of a changed chain', { chains: good.chains?.replace('warm 60', 'warm 30') }, undefined, 'publish chains'],
    ['of broken listeners', { listeners: 'here smtp submission\n' }, undefined, 'refuse control/listeners:1'],
    ['of broken lanes', { lanes: 'many\n' }, undefined, 'refuse control/lanes:1'],
    [
      'of a chain that goes with its listener',
      { chains: good.chains?.replace('chain submission', 'chain other'), listeners: '127.0.0.1:0 smtp other\n' },
      undefined,
      'needs listeners',
    ],
    ['of one file', { smtpgreeting: 'x\n', pop3greeting: 'y\n' }, ['pop3greeting'], 'publish pop3greeting'],
    [
      'of one file beside a broken one',
      { smtpgreeting: 'x\n', listeners: 'bad\n' },
      ['smtpgreeting'],
      'publish smtpgreeting',
    ],
    ['of a broken file alone', { listeners: 'here smtp submission\n' }, ['listeners'], 'refuse control/listeners:1'],
    [
      'of a file that needs a restart, alone',
      { lanes: '3\n', smtpgreeting: 'x\n' },
      ['lanes'],
      'nothing; restart lanes',
    ],
    ['of a file that is none', {}, ['nofile'], 'no file nofile'],
    [
      'of a file that cannot be read',
      { listeners: undefined },
      undefined,
      'refuse control/listeners:1',
      { errors: [unreadable] },
    ],
    [
      'beside a file that cannot be read',
      { listeners: undefined, smtpgreeting: 'x\n' },
      ['smtpgreeting'],
      'publish smtpgreeting',
      { errors: [unreadable] },
    ],
  ] as readonly [string, Changes, readonly string[] | undefined, string, Partial<Disk>?][])
    void it(what, () => {
      const planned = plan(loaded, diskWith(changes, more), only)
      assert.equal(said(planned), wanted)
      // What would be published is what compiles, and has its hash.
      if (planned.verdict.do === 'publish') {
        const again = plan(loaded, { texts: planned.texts, errors: [], unknown: [] })
        assert.equal(again.sha256, planned.sha256)
        assert.deepEqual(planned.verdict.config.texts, planned.texts)
        assert.equal(
          said(plan({ texts: planned.texts, config: planned.verdict.config }, diskWith(changes), only)),
          `nothing${said(planned).replace(/^[^;]*/, '')}`,
        )
      }
    })

  void it('at the start takes everything, or says all that is wrong', () => {
    assert.deepEqual(planStart(diskWith({ lanes: '3\n' }))._unsafeUnwrap().config.lanes, 3)
    assert.equal(planStart(diskWith({ lanes: 'x\n', me: undefined }))._unsafeUnwrapErr().count, 2)
  })

  void it('names a hundred errors and warnings, and counts all', () => {
    const { verdict } = plan(loaded, diskWith({ fixsmtpio: 'bad\n'.repeat(100_000) }))
    assert.ok(verdict.do === 'refuse')
    assert.deepEqual([verdict.errors.list.length, verdict.errors.count], [100, 100_000])
    const { warnings } = plan(loaded, diskWith({ fixsmtpio: `${good.fixsmtpio}${':maill::*::250 x\n'.repeat(500)}` }))
    // Each names no verb, and all but the last are overridden.
    assert.deepEqual([warnings.list.length, warnings.count], [100, 999])
  })

  void it('of texts that are given takes them for the files of these names, and knows no others', () => {
    const given = withTexts(diskWith({}, { errors: [unreadable] }), {
      listeners: good.listeners ?? '',
      'fixsmtpio.new': '',
    })
    const { verdict } = plan(loaded, given)
    assert.ok(verdict.do === 'refuse')
    const [error] = verdict.errors.list
    assert.equal(verdict.errors.count, 1)
    assert.match(
      `${error?.file}: ${error?.problem}`,
      /^control\/fixsmtpio\.new: there is no control file .*did you mean fixsmtpio\?$/,
    )
  })
})

void describe('a warning', () => {
  const rules = (text: string): Changes => ({ fixsmtpio: `${good.fixsmtpio}${text}` })
  const last = (good.fixsmtpio ?? '').split('\n').length
  for (const [what, changes, wanted] of [
    ['of nothing', {}, []],
    ['of CR LF', { me: 'mx.example\r\n' }, ['control/me:1:11: a line ends with CR LF; the CR is left out']],
    ['of no last newline', { timeoutsmtpd: '60' }, ['control/timeoutsmtpd:1:3: the last line has no newline']],
    [
      'of a glob without a star',
      rules(':noop::250::250 x\n'),
      [`control/fixsmtpio:${last}:8: the glob 250 can match no reply`],
    ],
    ['of an open bracket', rules(':noop::[:[:\n:noop::[*::x\n'), undefined],
    [
      'of an empty range',
      rules(':noop::[z-a]*::250 x\n'),
      [`control/fixsmtpio:${last}:8: the glob [z-a]* can match no reply`],
    ],
    [
      'of globs that can match',
      rules(':noop::2*::250 x\n:noop::???-*::250 x\n:noop::[2-5][0-9]?*\n*::250 x\n'.replace('\n*', '*')),
      [],
    ],
    ['of a clienteof, which is no reply', rules('X:clienteof::250:0:\n'), []],
    [
      'of an event that is no verb',
      rules(':maill::*::250 x\n'),
      [`control/fixsmtpio:${last}:2: the event maill is no verb; did you mean mail?`],
    ],
    [
      'of a rule that is overridden',
      rules(':noop::2*::250 x\n:noop::*::250 y\n'),
      [`control/fixsmtpio:${last}:1: the rule in line ${last + 1} always overrides this one`],
    ],
    [
      'of rules of which each has its own use',
      rules(
        ':noop::*::250 x\nX:noop::*::250 y\n:noop::2*::250 z\n:noop:A:2*:4:&fixsmtpio_noop\n:noop::2*::&fixsmtpio_noop\n',
      ),
      [],
    ],
  ] as readonly [string, Changes, readonly string[] | undefined][])
    void it(what, () => {
      const { verdict, warnings } = plan(loaded, diskWith(changes))
      if (wanted === undefined) return
      assert.notEqual(verdict.do, 'refuse')
      assert.deepEqual(
        warnings.list.map(({ file, line, column, problem }) => `${file}:${line}:${column}: ${problem}`),
        wanted,
      )
    })

  void it('names files that nobody reads, but none that others do', () => {
    const unknown = [
      'README.md',
      '.fixsmtpio.swp',
      'authupuser',
      'chains~',
      'fixsmtpoi',
      'lanes.old',
      'notes',
      'passwords',
    ]
    const chains = good.chains?.replace('checkpassword builtin', 'checkpassword /bin/check /etc/acceptd/passwords')
    const disk = diskWith({ chains }, { unknown })
    const { warnings } = plan({ ...loaded, texts: disk.texts }, disk)
    assert.deepEqual(
      warnings.list.map(
        ({ file, problem }) => `${file}: ${problem.replace('there is no control file of this name', '')}`,
      ),
      ['control/fixsmtpoi: ; did you mean fixsmtpio?', 'control/lanes.old: ; did you mean lanes?', 'control/notes: '],
    )
  })

  void it('is an error where the file cannot be meant: a byte order mark', () => {
    const { verdict } = plan(loaded, diskWith({ me: '\u00ef\u00bb\u00bfmx.example\n' }))
    assert.ok(verdict.do === 'refuse')
    assert.equal(verdict.errors.list[0]?.problem, 'the file begins with a byte order mark')
  })

  void it('of CR LF is all that comes of it: every file means the same', () => {
    const dos = Object.fromEntries(Object.entries(good).map(([name, text]) => [name, text.replaceAll('\n', '\r\n')]))
    const { config } = planStart(diskWith(dos))._unsafeUnwrap()
    assert.deepEqual({ ...config, texts: good }, loaded.config)
  })
})

void describe('a rollback', () => {
  const warned = ({ warnings }: Plan) => warnings.list.map(({ file, problem }) => `${file}: ${problem}`)
  void it('takes back everything but chains, which the helper follows on the disk', () => {
    const former = { ...good, smtpgreeting: 'former\n', chains: `${good.chains}\n# former\n` }
    const planned = planBack(loaded, former)
    assert.equal(said(planned), 'publish smtpgreeting')
    assert.equal(planned.texts.chains, good.chains)
    assert.deepEqual(warned(planned), [
      'control/chains: chains stays as it is, since accept-helper runs the file on disk',
    ])
  })
  void it('says nothing of chains that are the same', () => {
    const planned = planBack(loaded, { ...good, smtpgreeting: 'former\n' })
    assert.deepEqual(warned(planned), [])
  })
  void it('a reload of chains says that the helper is ahead of it', () => {
    const planned = plan(loaded, diskWith({ chains: good.chains?.replace('warm 60', 'warm 30') }))
    assert.match(warned(planned).join(), /control\/chains: accept-helper has run these chains since/)
  })
})
