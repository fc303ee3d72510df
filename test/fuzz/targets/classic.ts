// The programs authup and fixsmtpio, as they are installed, against models of what was recorded of them: on conversations that nobody recorded.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { within } from '../../support/until.ts'
import { authupModel, type ModelStep } from '../model/authup.ts'
import { type ModelRule, modelReply, modelRequest, modelRules } from '../model/fixsmtpio.ts'
import { anyOctets, opened, type Scope } from '../target.ts'

const PROGRAMS = resolve('dist/programs')
const GREETING = 'me.example'

/** A folder with QMAILHOME and the program that ours start, which is compiled once. */
function places({ after }: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-classic-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const fake = join(folder, 'fake')
  const built = spawnSync('cc', ['-O1', '-o', fake, 'test/fuzz/classic-fake.c'], { encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  return (control: Readonly<Record<string, string>>, script: Readonly<Record<string, string>>) => {
    const place = mkdtempSync(join(folder, 'one-'))
    mkdirSync(join(place, 'control'))
    for (const [name, text] of Object.entries(control)) writeFileSync(join(place, 'control', name), text, 'latin1')
    const strings = Object.entries(script).flat()
    writeFileSync(join(place, 'script'), strings.map((text) => `${text}\0`).join(''), 'latin1')
    return { place, fake, remove: () => rmSync(place, { recursive: true, force: true }) }
  }
}

/** Times and numbers of processes, the page's address, and the words of 501 are not compared. */
const normal = (text: string): string =>
  text
    .replace(/\b(authup|checkpassword|fixsmtpio) \d+/g, '$1 PID')
    .replace(/<\d+\.\d+@/g, '<PID.TIME@')
    .replace(/home page: [^\r\n]+/g, 'home page: URL')
    .replace(/^501 [^\r\n]*/gm, '501')

const PATIENCE = 20_000

class Program {
  readonly process: ChildProcess
  readonly ended: Promise<number | string>
  out = ''
  err = ''
  private changed: () => void = () => undefined

  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.process = spawn(join(PROGRAMS, name), args, { env: { PATH: process.env['PATH'], ...env } })
    const { stdin, stdout, stderr } = this.process
    stdin?.on('error', () => undefined)
    stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.out += text
      this.changed()
    })
    stderr?.setEncoding('latin1').on('data', (text: string) => {
      this.err += text
    })
    stdout?.on('end', () => this.changed())
    this.ended = once(this.process, 'close').then(([code, signal]) => (signal === null ? Number(code) : String(signal)))
  }

  /** Waits for so much output, normalised, or its end. */
  private async hear(wanted: string): Promise<void> {
    while (normal(this.out).length < wanted.length && this.process.stdout?.readableEnded !== true)
      await new Promise<void>((done) => {
        this.changed = done
      })
  }

  /** Its exit code, after all steps. */
  async play(steps: readonly ModelStep[], ends: boolean, last = ''): Promise<number | string> {
    let wanted = ''
    try {
      for (const { send, expect } of steps) {
        if (send !== '') this.process.stdin?.write(Buffer.from(send, 'latin1'))
        wanted += expect
        await within(`the answer to ${JSON.stringify(send)}: ${JSON.stringify(expect)}`, this.hear(wanted), PATIENCE)
        assert.equal(normal(this.out), wanted)
      }
      if (!ends) this.process.stdin?.end()
      const exit = await within('its end', this.ended, PATIENCE)
      assert.equal(normal(this.out), wanted + last)
      return exit
    } finally {
      this.process.kill('SIGKILL')
    }
  }
}

const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'latin1') : '')

// ---- fixsmtpio

const REPLIES: Readonly<Record<string, string>> = {
  EHLO: '250-backend.local\r\n250-PIPELINING\r\n250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME\r\n',
  HELO: '250 backend.local\r\n',
  HELP: '214-line one\r\n214 line two\r\n',
  NOOP: '250 ok\r\n',
  RSET: '250 flushed\r\n',
  VRFY: '252 send some mail\n',
  MAIL: '250 ok\r\n',
  RCPT: '451 GL - temporary problem\r\n',
  DATA: '354 go ahead\r\n',
  QUIT: '221 backend.local\r\n',
}
const GREETINGS = [
  '220 backend.local ESMTP\r\n',
  '220-more\r\n220 backend.local\r\n',
  '421 no way\r\n',
  '554 no way\r\n',
]

const rule = (events: readonly string[], prepends: readonly string[], responses: readonly string[]) =>
  fc
    .tuple(
      fc.constantFrom('', '', 'AUTHUP_USER', 'X_A'),
      fc.constantFrom(...events),
      fc.constantFrom(...prepends),
      fc.constantFrom('*', '2*', '4*', '5*', '250?AUTH*', '*ok*', '25[0-2]*', '?*', '451 GL*', '*\r', '214-*'),
      fc.constantFrom('', '', '', '', '14', '0'),
      fc.constantFrom(...responses),
    )
    .map((fields) => fields.join(':'))
const REPLACED = ['', '&fixsmtpio_noop', '250 mine', '550 no: never', '250', '252-a']
const RULES = fc
  .array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: rule(['noop', 'NOOP', 'vrfy', 'mail', 'rcpt', 'rset', 'xyzzy'], ['', '', 'NOOP ', 'x'], REPLACED),
      },
      {
        weight: 2,
        arbitrary: rule(['ehlo', 'helo', 'help', 'quit'], [''], ['', '&fixsmtpio_fixup', '&fixsmtpio_noop']),
      },
      rule(['greeting'], [''], ['&fixsmtpio_fixup', '&fixsmtpio_noop', '235 ok, go ahead (#2.0.0)']),
      rule(['in_data'], [''], ['&fixsmtpio_noop', '250 custom queued', '554 no']),
      rule(['clienteof'], [''], ['']),
      fc.constantFrom('# a comment', '', ':noop', ':ehlo::*:256:', ':clienteof::*::x', ':timeout::*:16:'),
    ),
    { maxLength: 6 },
  )
  .map((lines) => lines.map((line) => `${line}\n`).join(''))
const REQUEST = fc.constantFrom(
  'EHLO c',
  'HELO c',
  'HELP',
  'NOOP',
  'noop x',
  'VRFY u',
  'MAIL FROM:<a@b>',
  'RCPT TO:<c@d>',
  'RSET',
  'XYZZY a',
  'DATA',
  'QUIT',
)
const BODY = fc.array(fc.constantFrom('text', '..', '.x', 'QUIT', '', 'a'.repeat(70)), { maxLength: 4 })

/** What &fixsmtpio_fixup makes of a line, as recorded. */
function fixUp(event: string, line: string, number: number): string {
  if (event === 'greeting') return `220 ${GREETING} ESMTP`
  if (event === 'helo') return `250 ${GREETING}`
  if (event === 'quit') return `221 ${GREETING}`
  if (event === 'help') return `214 fixsmtpio home page: URL\r\n${line}`
  if (number === 0) return `250 ${GREETING}`
  return /^250[- ]STARTTLS\r?\n$/.test(line) ? '' : line
}

interface Fixing {
  readonly rules: string
  readonly greeting: string
  readonly set: readonly string[]
  readonly requests: readonly (readonly [string, readonly string[]])[]
  readonly eof: number
}

function fixsmtpioModel({ greeting, set, requests, eof }: Fixing, rules: readonly ModelRule[]) {
  const steps: ModelStep[] = []
  let got = ''
  let exit: number | undefined
  const answer = (send: string, event: string, reply: string): void => {
    const made = modelReply(rules, event, set, reply, fixUp)
    steps.push({ send, expect: made.reply })
    exit = made.exit
  }
  answer('', 'greeting', greeting)
  for (const [line, body] of requests) {
    if (exit !== undefined) break
    const verb = line.split(' ')[0] ?? ''
    const sent = modelRequest(rules, verb, set, `${line}\r\n`)
    got += sent
    answer(`${line}\r\n`, verb, REPLIES[(sent.split(/[ \r]/)[0] ?? '').toUpperCase()] ?? '502 unimplemented\r\n')
    if (verb === 'QUIT') exit ??= 0
    if (verb !== 'DATA' || exit !== undefined) continue
    const message = `${body.map((text) => `${text}\r\n`).join('')}.\r\n`
    got += message
    answer(message, 'in_data', '250 ok queued\r\n')
  }
  const ends = exit !== undefined
  exit ??= modelReply(rules, 'clienteof', set, '', fixUp).exit ?? eof
  return { steps, got, exit, ends }
}

const fixsmtpio = opened(
  'classic-fixsmtpio',
  'the program fixsmtpio says, asks and ends as a model of the recorded behaviour does',
  fc.record({
    rules: RULES,
    greeting: fc.constantFrom(...GREETINGS),
    set: fc.constantFrom([], ['AUTHUP_USER'], ['X_A'], ['AUTHUP_USER', 'X_A']),
    requests: fc.array(fc.tuple(REQUEST, BODY), { maxLength: 8 }),
    eof: fc.constantFrom(0, 1, 77),
  }),
  (scope) => {
    const prepare = places(scope)
    return Promise.resolve(async (fixing) => {
      const { rules: text, greeting, set, eof } = fixing
      const { place, fake, remove } = prepare(
        { me: `${GREETING}\n`, fixsmtpio: text },
        { ...REPLIES, greeting, eof: String(eof) },
      )
      const program = new Program('fixsmtpio', [fake, 'backend', place], {
        QMAILHOME: place,
        ...Object.fromEntries(set.map((name) => [name, 'ann'])),
      })
      const rules = modelRules(text)
      if (typeof rules === 'number') {
        assert.equal(await program.play([], false), 18)
        assert.match(program.err, /^fixsmtpio: unable to parse control\/fixsmtpio\n/)
        assert.equal(textOf(join(place, 'got')), '')
      } else {
        const model = fixsmtpioModel(fixing, rules)
        assert.equal(await program.play(model.steps, model.ends), model.exit, program.err)
        assert.equal(textOf(join(place, 'got')), model.got)
      }
      remove()
    })
  },
)

// ---- authup

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')
const CHILDREN: Readonly<Record<string, string>> = {
  right: '0 250 served\r\n',
  quiet: '9 ',
  wrong: '1 ',
  misused: '2 ',
  later: '111 ',
  killed: 's9 ',
}
const NAME = fc.constantFrom('ann', 'u@x', 'a b', '\xe9', '', 'a\x01b')
const PASSWORD = fc.constantFrom('right', 'quiet', 'wrong', 'wrong', 'misused', 'later', 'killed', '', 'a\rb', 'w=x')
const PLAIN = fc
  .tuple(fc.constantFrom('', '', 'same'), NAME, PASSWORD, fc.constantFrom('', '', '\0more'))
  .map(([authzid, name, password, more]) => base64(`${authzid === '' ? '' : name}\0${name}\0${password}${more}`))
const RESPONSE = fc.oneof(
  PLAIN,
  NAME.map(base64),
  PASSWORD.map(base64),
  fc.constantFrom('*', '', '=', 'AA', 'A===', '!!!!', 'AB=='),
  anyOctets(6).map(base64),
)
const SMTP_LINE = fc.oneof(
  fc.constantFrom(
    'EHLO c',
    'ehlo',
    'HELO x',
    'NOOP',
    'noop a',
    'RSET',
    'HELP',
    'STARTTLS',
    'MAIL FROM:<a@b>',
    'XYZ',
    'AUTH',
    'AUTH CRAM-MD5',
    'AUTH X y',
    'QUIT',
    '',
  ),
  fc.constantFrom('AUTH PLAIN', 'auth plain', 'AUTH LOGIN', 'AUTH login'),
  RESPONSE,
  RESPONSE.map((response) => `AUTH PLAIN ${response}`),
  RESPONSE.map((response) => `AUTH LOGIN ${response}`),
)
const POP3_LINE = fc.oneof(
  fc.constantFrom('CAPA', 'noop', 'NOOP', 'STLS', 'STAT', 'AUTH PLAIN', 'APOP u x', 'QUIT', '', 'USER', 'PASS'),
  NAME.map((name) => `USER ${name}`),
  PASSWORD.map((password) => `PASS ${password}`),
)

const authup = opened(
  'classic-authup',
  'the program authup answers, logs, counts tries and gives descriptor 3 what a model of the recorded behaviour does',
  fc.oneof(
    fc.record({
      protocol: fc.constant('smtp' as const),
      tries: fc.integer({ min: 1, max: 3 }),
      lines: fc.array(SMTP_LINE, { maxLength: 9 }),
    }),
    fc.record({
      protocol: fc.constant('pop3' as const),
      tries: fc.integer({ min: 1, max: 3 }),
      lines: fc.array(POP3_LINE, { maxLength: 9 }),
    }),
  ),
  (scope) => {
    const prepare = places(scope)
    const child = (password: string) => {
      const [, ends = '1', says = ''] = /^(\S+) (.*)$/s.exec(CHILDREN[password] ?? '1 ') ?? []
      return { ends, says }
    }
    return Promise.resolve(async ({ protocol, tries, lines }) => {
      const model = authupModel(protocol, GREETING, tries, lines, child)
      // Which reading is right where somebody wants to be another user is tested elsewhere.
      if (model.steps.some(({ expect }) => expect === 'authzid')) return
      const control = {
        me: `${GREETING}\n`,
        smtpcapabilities: 'PIPELINING\n8BITMIME\n',
        pop3capabilities: 'TOP\nUIDL\n',
      }
      const { place, fake, remove } = prepare(control, CHILDREN)
      const program = new Program('authup', ['-t', String(tries), protocol, fake, 'child', place], { QMAILHOME: place })
      const exit = await program.play(model.steps, model.exit !== undefined, model.last)
      assert.equal(exit, model.exit ?? 1, program.err)
      assert.equal(
        normal(program.err),
        [`authup PID protocol ${protocol}`, ...model.log].map((line) => `${line}\n`).join(''),
      )
      const given = textOf(join(place, 'fd3'))
        .split('\n')
        .slice(0, -1)
        .map((hex) =>
          Buffer.from(hex, 'hex')
            .toString('latin1')
            .replace(/<\d+\.\d+@me\.example>/, '<TIMESTAMP>'),
        )
      assert.deepEqual(given, model.given)
      remove()
    })
  },
)

export const classicTargets = [fixsmtpio, authup]
