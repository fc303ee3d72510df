// Unusually spelt verbs and the real mail programs: what one of them takes for a verb is that verb for the rules as well.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { splitCommand } from '../../src/protocol/command.ts'
import { SMTP_BACKENDS } from './backends.ts'
import { converse, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { PROGRAMS, TOP } from './machine.ts'
import { asUser, socat, stopPipeServers } from './pipe-servers.ts'
import { run } from './run.ts'

const RULE = ':mail:NOOP :*::550 hidden by a rule'
const rules = `${readFileSync(join(TOP, 'control/fixsmtpio'), 'latin1')}${RULE}\n`

/** Every octet that is not a letter and could act as a separator. */
const OCTETS = [...Array.from({ length: 64 }, (_, octet) => octet), 0x5b, 0x5c, 0x5d, 0x7f, 0x80, 0x85, 0xa0, 0xff]
  .filter((octet) => octet !== 10 && !(octet >= 0x30 && octet <= 0x39))
  .map((octet) => String.fromCharCode(octet))
const SPELLINGS = OCTETS.flatMap((octet) => [
  `${octet}MAIL FROM:<a@b.example>`,
  `MAIL${octet}FROM:<a@b.example>`,
  `mail${octet} FROM:<a@b.example>`,
  `\t${octet}MAIL FROM:<a@b.example>`,
])

const AT_A_TIME = 8

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({ smtp: SMTP_BACKENDS, control: { fixsmtpio: rules } })
})
after(async () => {
  await stopPipeServers()
  await fixture.end()
})

/** The mail program takes the line for a MAIL, and would begin a message. */
async function isTaken(program: string, line: string): Promise<boolean> {
  const { stdout } = await run([program], { input: `EHLO me\r\n${line}\r\nQUIT\r\n` })
  const [, , reply = ''] = stdout.match(/(?:^\d{3}-[^\n]*\n)*^\d{3} [^\n]*\n/gm) ?? []
  return reply.startsWith('250')
}

const takenBy = new Map<string, readonly string[]>()

for (const name of SMTP_BACKENDS)
  void describe(`unusually spelt verbs with ${name}`, () => {
    // After EHLO it knows MAIL and QUIT, and ends at anything else.
    const endsAtNoop = name === 'msmtpd'

    void it('what it takes for a verb is one for acceptd', async () => {
      const program = asUser(fixture.people[0], fixture.backend(name).argv, fixture.claim.dir)
      const taken: string[] = []
      for (let at = 0; at < SPELLINGS.length; at += AT_A_TIME) {
        const some = SPELLINGS.slice(at, at + AT_A_TIME)
        const answers = await Promise.all(some.map((line) => isTaken(program, line)))
        taken.push(...some.filter((_, i) => answers[i]))
      }
      assert.ok(taken.includes('MAIL FROM:<a@b.example>'), 'the plain one')
      for (const line of taken) assert.equal(splitCommand(`${line}\r\n`).verb, 'MAIL', JSON.stringify(line))
      takenBy.set(name, taken)
    })

    void it('and no rule of acceptd is bypassed', async () => {
      const [{ name: user, password }] = fixture.people
      const odd = (takenBy.get(name) ?? []).filter((line) => !/^mail +FROM/i.test(line))
      // Exim and msmtpd take white space at the end only.
      if (name === 'postfix') assert.ok(odd.length > 10, JSON.stringify(odd))
      let talk = await loggedIn(fixture.daemon.port(name), user, password)
      for (const line of [...odd, ' MAIL FROM:<a@b.example>', 'MAIL\tFROM:<a@b.example>', 'mail\vFROM:<a@b.example>']) {
        assert.equal(await talk.say(line), '550 hidden by a rule\r\n', JSON.stringify(line))
        if (!endsAtNoop) continue
        talk.cut()
        talk = await loggedIn(fixture.daemon.port(name), user, password)
      }
      if (endsAtNoop) return
      for (const line of [' AUTH LOGIN', 'AUTH\tPLAIN', 'auth\0'])
        assert.match(await talk.say(line), /^50[23] /, JSON.stringify(line))
      for (const line of ['STARTTLS\t', '\vSTARTTLS', 'starttls\r'])
        assert.match(await talk.say(line), /^502 /, JSON.stringify(line))
      assert.match(await talk.say('\t QUIT\v'), /^221 /)
      assert.equal(await talk.rest(), '')
    })

    void it('nor one of the program fixsmtpio', async () => {
      const home = join(fixture.claim.dir, `qmail-${name}`)
      mkdirSync(join(home, 'control'), { recursive: true })
      chmodSync(home, 0o755)
      writeFileSync(join(home, 'control/me'), 'mx.example\n')
      writeFileSync(join(home, 'control/fixsmtpio'), rules)
      const program = join(PROGRAMS, 'fixsmtpio')
      const argv = ['env', `QMAILHOME=${home}`, program, ...fixture.backend(name).argv]
      const server = await socat(asUser(fixture.people[0], argv, fixture.claim.dir))
      for (const line of takenBy.get(name) ?? []) {
        const talk = await converse(server.port)
        await talk.reply()
        await talk.say('\tEHLO me')
        assert.equal(await talk.say(line), '550 hidden by a rule\r\n', JSON.stringify(line))
        if (!endsAtNoop) assert.match(await talk.say('STARTTLS\t'), /^502 /)
        talk.cut()
      }
      await server.stop()
    })
  })
