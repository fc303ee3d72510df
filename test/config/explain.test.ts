// What control files and their lines do, in words.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compileConfig } from '../../src/config/config.ts'
import { explain, fileNamed, lineAt } from '../../src/config/explain.ts'
import { type ControlTexts, KNOBS, type KnobName } from '../../src/config/knobs.ts'
import type { Meaning } from '../../src/contract/configuration.ts'

const TEXTS: ControlTexts = {
  me: 'mx.example\nsecond line\n',
  smtpcapabilities: 'PIPELINING\n8BITMIME\n',
  pop3capabilities: 'UIDL\n',
  timeoutsmtpd: '300\n',
  fixsmtpio: `# rules

:help::*::&fixsmtpio_fixup
AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)
AUTHUP_USER:greeting::4*:14:&fixsmtpio_noop
AUTHUP_USER:ehlo::250?AUTH*::
AUTHUP_USER:auth:NOOP :*::503 already authenticated (#5.5.1)
:ehlo::2*::&fixsmtpio_fixup
AUTHUP_USER:clienteof::*:0:
RELAYCLIENT:quit::2*::&fixsmtpio_fixup
:quit::2*::221 bye
`,
  listeners: `127.0.0.1:587 smtp submission tries=3 guest=open name=sub tls=off
[::1]:110 pop3 mailbox tls=off
`,
  chains: `account acceptd
min-uid 1000
# login
chain submission
  checkpassword builtin
  set RELAYCLIENT=
  warm 30
  backend /bin/backend -bs
chain mailbox
  kind auth
  checkpassword /bin/checkpassword
  backend /bin/pop3d Maildir
chain open
  kind guest 1000 1001
  backend /bin/backend
`,
  limits: `few address before-login 20
rcpt user recipients 1000/hour
guesses address failed-logins 20/hour ban=1800
slow address failed-logins delay=15
ann user=Ann recipients off
office network=192.0.2.0/24 * off
`,
  access: `192.0.2.7:deny
10.1.:allow,ACCEPTD_SITE="office"
[2001:db8::/32]:deny
:allow
ann@=client.example:deny
`,
  senders: 'ann ann@example.org *@lists.example.org\n* %@example.org\nroot *\ncdb:/etc/senders.cdb\n',
}

const config = compileConfig(TEXTS)._unsafeUnwrap()

const meaning = (name: KnobName, line?: number): Meaning =>
  explain({ texts: TEXTS, config }, name, line)._unsafeUnwrap()

const cases: readonly [name: KnobName, line: number, kind: Meaning['kind'], says: RegExp, filter?: object][] = [
  ['fixsmtpio', 1, 'comment', /^A comment/],
  ['fixsmtpio', 2, 'comment', /^An empty line/],
  [
    'fixsmtpio',
    3,
    'rule',
    /^Applies to all sessions, at the event help: the reply to HELP\. Of it, every line becomes 214 .*last rule for help/,
  ],
  [
    'fixsmtpio',
    4,
    'rule',
    /sessions that have logged in \(AUTHUP_USER is set\).*first reply\. Of it, each line that matches 2\* becomes 235 ok, go ahead \(#2\.0\.0\)\. Rules for greeting after it: 1; /,
  ],
  [
    'fixsmtpio',
    5,
    'rule',
    /4\* stays as earlier rules have left it\. Where it matches, the session ends .* exit code 14\./,
  ],
  ['fixsmtpio', 6, 'rule', /the reply to EHLO\. Of it, each line that matches 250\?AUTH\* is removed/],
  ['fixsmtpio', 7, 'rule', /the mail program hears NOOP AUTH \.\.\. in place of AUTH \.\.\./],
  ['fixsmtpio', 8, 'rule', /the first 250 mx\.example, STARTTLS only where acceptd offers it/],
  ['fixsmtpio', 9, 'rule', /Whatever is left is dropped.*exit code 0/],
  ['fixsmtpio', 10, 'rule', /sessions of this environment \(RELAYCLIENT is set\).*becomes 221 mx\.example/],
  [
    'listeners',
    1,
    'listener',
    /submission \(SMTP\) on 127\.0\.0\.1, port 587, under the name sub.*submission; .* 3 wrong passwords.*chain open.*no TLS/,
    { listener: 'sub' },
  ],
  ['listeners', 2, 'listener', /mailboxes \(POP3\) on ::1, port 110, .* 1 wrong password\./, { listener: 'pop3:110' }],
  ['chains', 1, 'chain', /runs as acceptd/],
  ['chains', 2, 'chain', /uid below 1000/],
  ['chains', 3, 'comment', /^A comment/],
  ['chains', 4, 'chain', /^Begins the chain submission, which a login runs/],
  ['chains', 5, 'chain', /helper itself checks the password, against \/etc\/shadow/],
  ['chains', 6, 'chain', /Sets RELAYCLIENT/],
  ['chains', 7, 'chain', /last 30 seconds/],
  ['chains', 8, 'chain', /\/bin\/backend -bs serves the session/],
  ['chains', 10, 'chain', /checks a user and a password/],
  ['chains', 11, 'chain', /^\/bin\/checkpassword checks the password/],
  ['chains', 13, 'chain', /which serves clients that have not logged in/],
  ['chains', 14, 'chain', /user 1000, group 1001/],
  ['limits', 1, 'limit', /^Of each address .*at most 20 sessions that have not logged in at the same time/],
  ['limits', 2, 'limit', /^Of each user: at most 1000 recipients in any 3600 seconds/],
  ['limits', 3, 'limit', /at most 20 failed logins in any 3600 seconds; then all is refused for 1800 seconds/],
  ['limits', 4, 'limit', /answered later .* at most 15/],
  ['limits', 5, 'limit', /^Of user ann alone: no limit of recipients\. It takes the place/, { user: 'ann' }],
  ['limits', 6, 'limit', /^Trusts 192\.0\.2\.0\/24/, { ip: '192.0.2.0/24' }],
  ['access', 1, 'access', /^Clients at 192\.0\.2\.7 are refused/, { ip: '192.0.2.7' }],
  ['access', 2, 'access', /begins with 10\.1\. may connect\. Their chains get ACCEPTD_SITE=office/],
  ['access', 3, 'access', /^Clients at 2001:db8::\/32 are refused/, { ip: '2001:db8::/32' }],
  ['access', 4, 'access', /^Clients that no other line is for may connect/],
  ['access', 5, 'access', /^Clients whose name is client\.example of user ann are refused/],
  [
    'senders',
    1,
    'sender',
    /^ann may give ann@example\.org, \*@lists\.example\.org in MAIL.*any name in that domain/,
    { user: 'ann' },
  ],
  ['senders', 2, 'sender', /^A user without a line of their own may give %@example\.org.*name of the user/],
  ['senders', 3, 'sender', /^root may give any address/, { user: 'root' }],
  ['senders', 4, 'sender', /^Users without a line of their own are looked up in \/etc\/senders\.cdb/],
  ['timeoutsmtpd', 1, 'value', /^Seconds an SMTP client/],
  ['smtpcapabilities', 2, 'value', /^EHLO keywords/],
  ['me', 2, 'comment', /^Only the first line/],
]

void describe('a line of a control file in words', () => {
  for (const [name, line, kind, says, filter] of cases)
    void it(`${name}:${line} ${lineAt(TEXTS[name] ?? '', line) ?? ''}`, () => {
      const found = meaning(name, line)
      assert.equal(found.kind, kind)
      assert.equal(found.text, lineAt(TEXTS[name] ?? '', line))
      assert.match(found.does.join(' '), says)
      assert.deepEqual(found.filter, filter)
      for (const sentence of found.does) assert.match(sentence, /^\S.*\.$|\.\.\.$/)
    })

  void it('a chain names its listeners', () => {
    assert.deepEqual(meaning('chains', 8).usedBy, ['listener sub'])
    assert.deepEqual(meaning('chains', 13).usedBy, ['listener sub (guest)'])
    assert.deepEqual([meaning('chains', 12).name, meaning('chains', 2).name], ['mailbox', undefined])
  })

  void it('an access file names the listeners whose clients it decides on', () => {
    const texts = {
      ...TEXTS,
      listeners: `${TEXTS.listeners}127.0.0.1:25 smtp submission access=access-office name=office tls=off\n`,
      'access-office': '# staff\n10.:allow\n:deny\n',
    }
    const loaded = { texts, config: compileConfig(texts)._unsafeUnwrap() }
    const found = explain(loaded, 'access-office', 3)._unsafeUnwrap()
    assert.deepEqual([found.kind, found.text, found.usedBy], ['access', ':deny', ['listener office']])
    assert.match(found.does.join(' '), /^Clients that no other line is for are refused/)
    assert.deepEqual(explain(loaded, 'access-office', undefined)._unsafeUnwrap().usedBy, ['listener office'])
    assert.deepEqual(explain(loaded, 'access', 1)._unsafeUnwrap().usedBy, ['listener sub', 'listener pop3:110'])
  })

  void it('every file has words as a whole, with the value in force', () => {
    for (const { name } of KNOBS) {
      const { kind, does } = meaning(name)
      assert.equal(kind, 'knob')
      assert.match(does.at(-1) ?? '', /^A change (takes effect with a reload|needs a restart of acceptd)\.$/)
    }
    assert.equal(meaning('timeoutsmtpd').text, '300')
    assert.equal(meaning('timeoutpop3d').text, '1200')
    assert.match(meaning('timeoutpop3d').does.join(' '), /There is no such file; the default is 1200\./)
    assert.equal(meaning('fixsmtpio').text, undefined)
  })

  void it('a line that is not there is an error that says how many there are', () => {
    const problem = (name: KnobName, line: number) => explain({ texts: TEXTS, config }, name, line)._unsafeUnwrapErr()
    assert.equal(problem('limits', 7), 'control/limits has 6 lines')
    assert.equal(problem('metrics', 1), 'there is no file control/metrics')
  })

  void it('a file goes by its name, wherever it is', () => {
    for (const file of ['limits', 'control/limits', '/etc/acceptd/limits'])
      assert.equal(fileNamed(file, [])._unsafeUnwrap(), 'limits')
    const problem = (file: string) => fileNamed(file, ['access-office'])._unsafeUnwrapErr()
    assert.equal(problem('limit'), 'there is no control file limit; did you mean limits?')
    assert.equal(problem('__proto__'), 'there is no control file __proto__')
    assert.equal(problem('access-ofice'), 'there is no control file access-ofice; did you mean access-office?')
    assert.equal(fileNamed('/etc/acceptd/access-office', ['access-office'])._unsafeUnwrap(), 'access-office')
  })

  void it('lines end with LF, and the line end is not part of them', () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((line) => lineAt('a \r\n\nb', line)),
      ['a', '', 'b', undefined],
    )
    assert.equal(lineAt('', 1), '')
  })
})
