// What a lane's door and clock do with clients that are not allowed, take too long, or send too slowly.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { cdbOf } from '../support/cdb.ts'
import { AUTH, acceptingLane, endWorker, type Lane, logs, textsOf, until } from '../support/lane.ts'

after(endWorker)

async function lane(
  t: { after: (f: () => Promise<void> | void) => void },
  texts: ControlTexts,
  protocol = 'smtp',
): Promise<Lane> {
  const listeners = `127.0.0.1:0 ${protocol} submission\n`
  return acceptingLane(t, { ...textsOf(protocol === 'pop3' ? 'pop3 tries=5' : 'tries=5'), listeners, ...texts })
}

void describe('control/access', () => {
  for (const [protocol, wanted] of [
    ['smtp', '554 access denied (#5.7.1)\r\n'],
    ['pop3', '-ERR [SYS/PERM] access denied\r\n'],
  ] as const) {
    void it(`turns a client away with ${wanted.trim()}`, async (t) => {
      const one = await lane(t, { access: '127.0.0.1:deny\n' }, protocol)
      const end = one.dial()
      await until('the end', () => end.closed())
      assert.equal(end.heard().replace('mx.example ', ''), wanted)
      await logs(one, / warn session-refused ip=127\.0\.0\.1 listener=\S+ why="access denied"\n/)
    })
  }
  void it('of one listener replaces the one for all', async (t) => {
    const listeners = '127.0.0.1:0 smtp submission access=access-here\n'
    const one = await lane(t, { access: ':deny\n', 'access-here': '127.:allow,ACCEPTD_SITE="here"\n', listeners })
    const end = one.dial()
    end.send(AUTH)
    await until('the login', () => end.heard().includes('235'))
    assert.ok(one.helper.asked[0]?.environment.includes('ACCEPTD_SITE=here'))
  })
  void it('sets variables for chains and rules', async (t) => {
    const one = await lane(t, {
      access: '127.:allow,ACCEPTD_SITE="office"\n',
      fixsmtpio: `${textsOf('tries=5').fixsmtpio ?? ''}ACCEPTD_SITE:noop::*::250 from the office\n`,
    })
    const end = one.dial()
    end.send(AUTH)
    await until('the login', () => end.heard().includes('235'))
    assert.ok(one.helper.asked[0]?.environment.includes('ACCEPTD_SITE=office'))
    one.helper.backends[0]?.socket.on('data', () => one.helper.backends[0]?.send('250 ok\r\n'))
    end.send('NOOP\r\n')
    await until('the rule', () => end.heard().includes('250 from the office\r\n'))
  })
})

void describe('timeoutlogin', () => {
  void it('disconnects a client that talks and does not log in, with 451', async (t) => {
    const one = await lane(t, { timeoutlogin: '1\n' })
    const end = one.dial()
    const talk = setInterval(() => end.send('NOOP\r\n'), 100)
    t.after(() => clearInterval(talk))
    await until('the end', () => end.closed())
    assert.match(end.heard(), /451 mx\.example timeout|451 .*timeout/)
    await logs(one, / warn login-timeout session=\S+ .*seconds=1\n/)
  })
  void it('does not apply to one that has logged in', async (t) => {
    const one = await lane(t, { timeoutlogin: '1\n' })
    const end = one.dial()
    end.send(AUTH)
    await until('the login', () => end.heard().includes('235'))
    await one.advance(2000)
    assert.equal((await one.ask('measure', null)).sessions, 1)
    assert.doesNotMatch(one.log(), /login-timeout/)
  })
})

void describe('control/senders', () => {
  void it('with a cdb lets a user give what its file says at the login, and none while it is not there', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'acceptd-door-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'senders.cdb')
    const one = await lane(t, { senders: `cdb:${file}\n` })
    const mail = async (sender: string, answer: string) => {
      const end = one.dial()
      end.send(AUTH)
      await until('the login', () => end.heard().includes('235'))
      const backend = one.helper.backends.at(-1)
      assert.ok(backend)
      backend.onText = () => backend.send('250 ok\r\n')
      end.send(`MAIL FROM:<${sender}>\r\n`)
      await until(`${answer} of ${end.heard()}`, () => end.heard().endsWith(`\r\n${answer}\r\n`))
    }
    await mail('me@example.org', '451 your addresses cannot be looked up now (#4.3.0)')
    await logs(one, / error senders-unreadable session=\S+ .*user=me why="?\S*senders\.cdb: ENOENT"?\n/)
    writeFileSync(file, cdbOf([['me', 'me@example.org']]))
    await mail('me@example.org', '250 ok')
    await mail('you@example.org', '553 sender address is not yours (#5.7.1)')
    writeFileSync(file, cdbOf([['me', 'you@example.org']]))
    await mail('you@example.org', '250 ok')
  })
  void it('answers MAIL with 553 without passing it to the backend, and what follows in order', async (t) => {
    const one = await lane(t, { senders: 'me me@example.org\n' })
    const end = one.dial()
    end.send(AUTH)
    await until('the login', () => end.heard().includes('235'))
    const [backend] = one.helper.backends
    assert.ok(backend)
    backend.onText = (text) => {
      for (const line of text.split('\r\n').slice(0, -1)) backend.send(line === 'DATA' ? '354 go\r\n' : '250 ok\r\n')
    }
    end.send('MAIL FROM:<you@example.org>\r\n')
    await until('the refusal', () => end.heard().includes('553 sender address is not yours (#5.7.1)\r\n'))
    end.send('mail from:<me@example.org>\r\nRCPT TO:<a@example.net>\r\n')
    await until('the rest', () => end.heard().split('250 ok').length === 3)
    end.send('RSET\r\nMAIL FROM:<you@example.org>\r\nMAIL FROM:<me@example.org>\r\n')
    await until('the pipelined ones', () =>
      end.heard().endsWith('250 ok\r\n553 sender address is not yours (#5.7.1)\r\n250 ok\r\n'),
    )
    // msmtpd ends the session at a NOOP.
    assert.doesNotMatch(backend.heard(), /you@example\.org|NOOP/)
    assert.match(backend.heard(), /mail from:<me@example\.org>/)
  })
})
