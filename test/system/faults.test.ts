// Many clients at the same time, half of them wrong, many that disconnect in the middle: nothing half is filed, nothing leaks, nobody else notices.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { descriptors, memory, type Process, picture, runtimeOf, treeOf, until } from './processes.ts'
import { writePasswordFile } from './users.ts'

let fixture: Fixture
let filed: string

before(async () => {
  fixture = await makeFixture({
    options: 'tries=2',
    control: { lanes: '2\n', loglevel: 'info\n' },
    chains: async ({ claim: { dir }, people }) => {
      const passwords = join(dir, 'passwords')
      await writePasswordFile(passwords, people)
      filed = join(dir, 'filed')
      mkdirSync(filed)
      chmodSync(filed, 0o1777)
      // Files a message when it has its final dot, and only then.
      const backend = script(
        dir,
        'filing',
        `cr=$(printf '\\r')
say() { printf '%s\\r\\n' "$1"; }
say '220 filing ESMTP'
while IFS= read -r line; do
  case "\${line%"$cr"}" in
    [Dd][Aa][Tt][Aa])
      say '354 go'
      subject=none
      while :; do
        IFS= read -r text || exit 1
        text=\${text%"$cr"}
        case $text in
          .) break ;;
          'Subject: '*) subject=\${text#Subject: } ;;
        esac
      done
      : >"${filed}/$$.$subject"
      say '250 filed' ;;
    QUIT) say '221 bye'; exit 0 ;;
    *) say '250 ok' ;;
  esac
done`,
      )
      return [{ name: 'filing', checkpassword: ['builtin', passwords], backend: [backend] }]
    },
  })
})
after(() => fixture.end())

const runtime = (): Process => {
  const found = runtimeOf(fixture.daemon.pid)
  assert.ok(found !== undefined)
  return found
}

/** What must be as before once everybody has gone. */
async function atRest(): Promise<{ readonly descriptors: number; readonly processes: number; readonly rss: number }> {
  const { pid } = runtime()
  let last = -1
  // Helper processes and sockets take a moment to disappear.
  await until(
    'a standstill',
    () => {
      const now = descriptors(pid) + 10_000 * treeOf(fixture.daemon.pid).length
      const still = now === last
      last = now
      return still
    },
    { every: 300 },
  )
  return { descriptors: descriptors(pid), processes: treeOf(fixture.daemon.pid).length, rss: memory(pid).rss }
}

const subjects = (): readonly string[] => readdirSync(filed).map((name) => name.replace(/^\d+\./, ''))

async function introduced(): Promise<Conversation> {
  const talk = await converse(fixture.daemon.port('filing'), 60_000)
  await talk.reply()
  await talk.say('EHLO client.example')
  return talk
}

async function wrong(): Promise<void> {
  const talk = await introduced()
  assert.match(await talk.say(`AUTH PLAIN ${plain(fixture.people[0].name, 'wrong')}`), /^535 /)
  assert.match(await talk.say(`AUTH PLAIN ${plain('nobody-at-all', 'wrong')}`), /^535 /)
  assert.equal(await talk.rest(), '')
}

async function openMessage(subject: string): Promise<Conversation> {
  const talk = await introduced()
  const [user] = fixture.people
  assert.match(await talk.say(`AUTH PLAIN ${plain(user.name, user.password)}`), /^235 /)
  assert.match(await talk.say('MAIL FROM:<me@example.org>'), /^250 /)
  assert.match(await talk.say('RCPT TO:<you@example.org>'), /^250 /)
  assert.match(await talk.say('DATA'), /^354 /)
  talk.send(`Subject: ${subject}\r\n\r\nfirst half\r\n`)
  return talk
}

async function half(order: number): Promise<void> {
  const talk = await openMessage(`half${order}`)
  // Some close, some reset, some have almost said the final dot.
  if (order % 3 === 0) talk.cut()
  else {
    if (order % 3 === 1) talk.send('\r\n.\r')
    talk.socket.end()
    await talk.rest()
  }
}

void describe('200 clients at the same time', () => {
  void it('half with wrong passwords, half gone in DATA: no half message, no leak, nobody else notices', async () => {
    const [user] = fixture.people
    const storm = async () => {
      await Promise.all(Array.from({ length: 200 }, (_none, i) => (i % 2 === 0 ? wrong() : half(i))))
    }
    await storm()
    const first = await atRest()
    const others = [await loggedIn(fixture.daemon.port('filing'), user.name, user.password), await openMessage('whole')]
    let answers = 0
    const storms = { over: false }
    const chatter = (async () => {
      while (!storms.over) {
        assert.equal(await others[0]?.say('NOOP'), '250 ok\r\n')
        answers += 1
      }
    })()
    for (let n = 0; n < 3; n += 1) await storm()
    storms.over = true
    await chatter
    assert.ok(answers > 10, String(answers))
    assert.match((await others[1]?.say('second half\r\n.')) ?? '', /^250 filed/)
    for (const one of others) {
      assert.match(await one.say('QUIT'), /^221 /)
      await one.rest()
    }
    const last = await atRest()
    assert.deepEqual(subjects(), ['whole'])
    assert.deepEqual({ ...last, rss: 0 }, { ...first, rss: 0 }, picture(treeOf(fixture.daemon.pid)))
    assert.ok(last.rss < first.rss * 1.5, `${first.rss} kB, then ${last.rss} kB`)
    const { sessions } = (await fixture.daemon.call('session.list')) as { sessions: readonly unknown[] }
    assert.deepEqual(sessions, [])
  })
})
