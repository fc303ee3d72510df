// Planted passwords appear nowhere in what acceptd writes, sends or shows, however they were sent and whoever was listening.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { METHODS } from '../../src/rpc/methods.ts'
import { type Wire, wire } from '../rpc/wire.ts'
import { type Conversation, converse, plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { plainChain } from './plain-checkpassword.ts'
import { treeOf, until } from './processes.ts'
import { makeRecorder, transact } from './recorder.ts'
import { must } from './run.ts'
import type { TestUser } from './users.ts'

const RIGHT = 'Planted/right+7 &Green=%9'
const WRONG = 'Planted/wrong+5 &Rot?=~8'
/** A part of one is as bad as the whole. */
const part = (password: string): string => password.slice(0, 14)

/** No token has blanks; it begins as the password does. */
const tokenOf = (password: string): string => password.replaceAll(/[^!-%'-~]/g, '.')
const TOKEN = tokenOf(RIGHT)

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')

/** What of `text` is the same in every base64 that holds it, for each of the three ways it can begin in a group. */
function insideBase64(text: string): readonly string[] {
  return [0, 1, 2].map((offset) =>
    base64('\0'.repeat(offset) + text).slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + text.length) * 8) / 6)),
  )
}

/** Every way in which a password could show, in lower case. */
const FORMS: string[] = [RIGHT, WRONG].map(part).flatMap((text) => {
  const bytes = Buffer.from(text)
  return [
    text,
    encodeURIComponent(text),
    ...insideBase64(text),
    bytes.toString('hex'),
    [...bytes].join(','),
    [...bytes].join(' '),
    text.replaceAll('/', '\\/'),
  ].map((form) => form.toLowerCase())
})

const shown = (text: string): readonly string[] => FORMS.filter((form) => text.toLowerCase().includes(form))

/** What is searched, by where it is from. */
const said = new Map<string, string>()

function assertNothing(from: string, text: string): void {
  const found = shown(text)[0]
  const at = found === undefined ? -1 : text.toLowerCase().indexOf(found)
  assert.equal(found, undefined, `${from}: ...${text.slice(Math.max(0, at - 200), at + 100)}...`)
}

let fixture: Fixture
let user: TestUser
/** Sends and listens; everything that it receives is kept. */
let listener: Wire
let asker: Wire

function hearing(name: string): Wire {
  const one = wire(fixture.daemon.controlSocket)
  one.socket.on('data', (text: string) => said.set(name, (said.get(name) ?? '') + text))
  return one
}

before(async () => {
  fixture = await makeFixture({
    control: { loglevel: 'debug\n' },
    pop3: ['mailfront'],
    chains: async ({ claim, people: [one, ...others] }) => {
      user = { ...one, password: RIGHT }
      // The same for the chain that asks /etc/shadow.
      await must(['chpasswd'], { input: `${user.name}:${RIGHT}\n` })
      const folders = ['', '/new', '/cur', '/tmp'].map((name) => `${user.home}/Maildir${name}`)
      await must(['install', '-d', '-o', user.name, ...folders])
      const { chain } = await makeRecorder(claim.dir, [user, ...others])
      return [chain, plainChain(claim.dir, chain, [[user, TOKEN]])]
    },
  })
  ;[listener, asker] = [hearing('events'), hearing('replies')]
  const topics = ['session', 'auth', 'config', 'lane', 'tls']
  for (const [method, params] of [
    ['event.subscribe', { topics }],
    ['session.trace', { ttl: 600, lines: 100_000 }],
  ] as const) {
    const { result, error } = await listener.call(method, params)
    assert.ok(result?.subscription, JSON.stringify(error))
  }
  const { result } = await asker.call('log.set', { component: 'acceptd', level: 'debug' })
  assert.equal(result.level, 'debug')
})
after(() => fixture.end())

/** What session.list and session.get show of the session, and /proc of every process of acceptd's. */
async function look(talk: Conversation): Promise<void> {
  const { result } = await asker.call('session.list', { limit: 1000 })
  const found = result.sessions.find(({ port }: { port: number }) => port === talk.socket.localPort)
  if (found !== undefined) await asker.call('session.get', { id: found.id })
  for (const { pid } of treeOf(fixture.daemon.pid))
    for (const name of ['cmdline', 'environ'])
      try {
        assertNothing(`/proc/PID/${name}`, readFileSync(`/proc/${pid}/${name}`, 'latin1'))
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
      }
}

/** Sends the lines in turn, each after the reply to the previous one, and inspects the session after each. */
async function conversation(chain: string, lines: readonly (readonly [string, RegExp])[]): Promise<void> {
  const talk = await converse(fixture.daemon.port(chain))
  await talk.reply()
  for (const [line, reply] of lines) {
    assert.match(await talk.say(line), reply, line)
    await look(talk)
  }
  talk.cut()
}

const EHLO = ['EHLO client.example', /^250-/] as const
const blob = (password: string): string => plain(user.name, password)

const ODDLY: readonly (readonly [string, (line: string) => string])[] = [
  ['with tabs', (line) => line.replace(' ', '\t')],
  ['with a blank in front', (line) => ` ${line}`],
  ['with a vertical tab in front and a form feed in the middle', (line) => `\v${line.replace(' ', '\f')}`],
  ['with a NUL in front', (line) => `\0${line}`],
  ['with a CR after the verb', (line) => line.replace(' ', '\r')],
]

void describe('SMTP', () => {
  for (const [what, password, code] of [
    ['right', RIGHT, /^235 /],
    ['wrong', WRONG, /^535 /],
  ] as const) {
    const say = (name: string, lines: () => readonly (readonly [string, RegExp])[]) =>
      it(`${name} with the ${what} password`, () => conversation('mail', [EHLO, ...lines()]))
    void say('PLAIN with an initial response', () => [[`AUTH PLAIN ${blob(password)}`, code]])
    void say('PLAIN without one', () => [
      ['auth plain', /^334 /],
      [blob(password), code],
    ])
    void say('LOGIN', () => [
      ['AUTH LOGIN', /^334 /],
      [base64(user.name), /^334 /],
      [base64(password), code],
    ])
    void say('LOGIN with a name', () => [
      [`AUTH LOGIN ${base64(user.name)}`, /^334 /],
      [base64(password), code],
    ])
    // An unusual spelling makes no difference: what a mail program could take for AUTH is AUTH.
    for (const [spelling, line] of ODDLY)
      void say(`AUTH ${spelling}`, () => [[line(`AUTH PLAIN ${blob(password)}`), code]])
    void say('mistakes', () => [
      [`AUTH PLAIN ${blob(password)}!`, /^501 /],
      [`AUTH PLAIN ${blob(password)} ${blob(password)}`, /^501 /],
      [`AUTH CRAM-MD5 ${blob(password)}`, /^504 /],
      ['AUTH LOGIN', /^334 /],
      [`${base64(user.name)}!`, /^501 /],
      // The client believes that it is still being asked.
      [base64(password), /^5/],
      [`PASS ${password}`, /^5/],
      [`AUTH PLAIN ${blob(password).repeat(400)}`, /^500 /],
    ])
  }

  for (const [what, password, code] of [
    ['right', RIGHT, /^235 /],
    ['wrong', WRONG, /^535 /],
  ] as const) {
    const token = `auth=Bearer ${tokenOf(password)}\x01\x01`
    const replies = (line: string): readonly (readonly [string, RegExp])[] =>
      password === RIGHT
        ? [[line, code]]
        : [
            [line, /^334 /],
            ['', code],
          ]
    void it(`XOAUTH2 with the ${what} token`, () =>
      conversation('plain', [EHLO, ...replies(`AUTH XOAUTH2 ${base64(`user=${user.name}\x01${token}`)}`)]))
    void it(`OAUTHBEARER with the ${what} token`, () =>
      conversation('plain', [EHLO, ...replies(`AUTH OAUTHBEARER ${base64(`n,a=${user.name},\x01${token}`)}`)]))
    void it(`OAUTHBEARER that is malformed, with the ${what} token`, () =>
      conversation('plain', [
        EHLO,
        [`AUTH OAUTHBEARER ${base64(`n,,\x01${token}`)}`, /^501 /],
        [`AUTH XOAUTH2 ${base64(`user=\x01${token}`)}`, /^501 /],
        ['AUTH OAUTHBEARER', /^334 /],
        [`${base64(`n,a=me,\x01${token}`)}!`, /^501 /],
        [base64(token), /^5/],
      ]))
    void it(`CRAM-MD5 with the ${what} password`, async () => {
      const talk = await converse(fixture.daemon.port('plain'))
      await talk.reply()
      await talk.say('EHLO client.example')
      const [, challenge = ''] = /^334 (\S+)/.exec(await talk.say('AUTH CRAM-MD5')) ?? []
      const digest = createHmac('md5', password).update(Buffer.from(challenge, 'base64')).digest('hex')
      FORMS.push(digest, ...insideBase64(digest).map((form) => form.toLowerCase()))
      assert.match(await talk.say(base64(`${user.name} ${digest}`)), code)
      await look(talk)
      talk.cut()
    })
  }

  void it('AUTH again, and without need, after the right password', async () => {
    const talk = await converse(fixture.daemon.port('mail'))
    await talk.reply()
    await talk.say('EHLO client.example')
    assert.match(await talk.say(`AUTH PLAIN ${blob(RIGHT)}`), /^235 /)
    await transact(talk, 'with a trace')
    for (const line of [
      `AUTH PLAIN ${blob(WRONG)}`,
      ` AUTH PLAIN ${blob(WRONG)}`,
      `AUTH\tPLAIN ${blob(WRONG)}`,
      `PASS ${WRONG}`,
      // A client that pipelines the lines of AUTH LOGIN has sent the password before the refusal comes.
      'AUTH LOGIN',
      base64(user.name),
      base64(WRONG),
    ]) {
      assert.match(await talk.say(line), /^50\d /, line)
      await look(talk)
    }
    talk.cut()
  })

  void it('a client that dies in the middle of a line', async () => {
    const talk = await converse(fixture.daemon.port('mail'))
    await talk.reply()
    await talk.say('EHLO client.example')
    talk.send(`AUTH PLAIN ${blob(RIGHT).slice(0, -2)}`)
    await look(talk)
    talk.cut()
  })
})

void describe('POP3', () => {
  for (const [what, password, code] of [
    ['right', RIGHT, /^\+OK/],
    ['wrong', WRONG, /^-ERR/],
  ] as const) {
    const say = (name: string, lines: () => readonly (readonly [string, RegExp])[]) =>
      it(`${name} with the ${what} password`, () => conversation('mailfront', lines()))
    void say('USER and PASS', () => [
      [`USER ${user.name}`, /^\+OK/],
      [`PASS ${password}`, code],
    ])
    void say('AUTH PLAIN', () => [[`AUTH PLAIN ${blob(password)}`, code]])
    void say('AUTH PLAIN without an initial response', () => [
      ['AUTH PLAIN', /^\+ /],
      [blob(password), code],
    ])
    void say('AUTH LOGIN', () => [
      ['AUTH LOGIN', /^\+ /],
      [base64(user.name), /^\+ /],
      [base64(password), code],
    ])
    for (const [spelling, line] of ODDLY)
      void say(`PASS ${spelling}`, () => [
        [`USER ${user.name}`, /^\+OK/],
        [line(`pass ${password}`), code],
      ])
    void say('mistakes', () => [
      [`PASS ${password}`, /^-ERR/],
      [`USER ${user.name}`, /^\+OK/],
      [`AUTH PLAIN ${blob(password)}!`, /^-ERR/],
      [`APOP ${user.name} ${password}`, /^-ERR/],
    ])
  }
})

void describe('auth.test', () => {
  const good = { user: 'nobody', password: RIGHT }
  for (const [what, params] of [
    ['a wrong type beside it', { ...good, protocol: 7 }],
    ['a wrong word beside it', { ...good, protocol: RIGHT }],
    ['a member that there is not', { ...good, passphrase: RIGHT }],
    ['a password of the wrong type', { user: 'nobody', password: [RIGHT] }],
    ['parameters by position', [RIGHT]],
    ['a chain that there is not', { ...good, chain: 'no-such-chain' }],
  ] as const)
    void it(`with ${what} is refused`, async () => {
      const { error } = await asker.call('auth.test', params)
      assert.equal(typeof error?.data.reason, 'string')
    })

  void it('says how the real chain ended', async () => {
    for (const [password, verdict] of [
      [RIGHT, 'accepted'],
      [WRONG, 'refused'],
    ] as const)
      for (const name of ['mail', 'mailfront']) {
        const { result } = await asker.call('auth.test', { user: user.name, password, chain: name })
        assert.equal(result?.verdict, verdict)
      }
  })

  void it('in a line that is not JSON is refused', async () => {
    asker.write(`{"jsonrpc":"2.0","id":1,"method":"auth.test","params":{"password":"${RIGHT}\n`)
    assert.equal((await asker.next()).error.code, -32700)
  })
})

void it('nothing of it is to be found', async () => {
  await until('every session to be told of', () => {
    const count = (event: string): number => fixture.daemon.log().split(` ${event} `).length
    return count('session-ended') === count('session-begins')
  })
  for (const [name, method] of Object.entries(METHODS))
    if (!method.changes && method.cli.stream === undefined && name !== 'auth.test') {
      await asker.call(name, method.example.params)
      await asker.call(name, {})
    }
  for (const one of [listener, asker]) one.socket.destroy()

  said.set('log', fixture.daemon.log())
  for (const dir of [fixture.place.run, fixture.place.control, fixture.claim.dir])
    for (const name of readdirSync(dir))
      if (statSync(join(dir, name)).isFile()) said.set(name, readFileSync(join(dir, name), 'latin1'))

  for (const [from, text] of said) assertNothing(from, text)
  // All of them were produced, so a leak would have been found.
  for (const [from, words] of Object.entries({
    log: [user.name, 'login-attempt', 'login-failed'],
    events: [user.name, '"topic":"trace"', '"verb":"AUTH"', '"verb":"PASS"', '"topic":"auth"'],
    replies: [user.name, '"verbs":', 'acceptd_logins_total', '"verdict":"accepted"'],
  }))
    for (const word of words) assert.ok(said.get(from)?.includes(word), `${from} does not say ${word}`)
  for (const text of [RIGHT, blob(WRONG), base64(RIGHT), Buffer.from(WRONG).toString('hex'), encodeURIComponent(RIGHT)])
    assert.notDeepEqual(shown(`<${text}>`), [], text)
})
