// A control directory is compiled whole: every error with its file, line and column, all together.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compileConfig } from '../../src/config/config.ts'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { controlTexts } from '../support/control.ts'
import { parseTranscripts } from '../support/transcript.ts'

const [plain] = parseTranscripts('# settings', '')
assert.ok(plain !== undefined)
const good = controlTexts(plain.settings)

/** `file:line:column: problem` of each error. */
function errorsOf(change: Partial<Record<string, string | undefined>>): readonly string[] {
  const texts: Record<string, string> = {}
  for (const [name, text] of Object.entries({ ...good, ...change })) if (text !== undefined) texts[name] = text
  const compiled = compileConfig(texts satisfies ControlTexts)
  return compiled.isOk()
    ? []
    : compiled.error.map(({ file, line, column, problem, hint }) => {
        assert.ok(hint !== '', problem)
        return `${file}:${line}:${column}: ${problem}`
      })
}

const CHAIN = 'chain submission\n  checkpassword builtin\n  backend /bin/backend\n'
const LISTENER = '127.0.0.1:587 smtp submission'

void describe('the control directory', () => {
  void it('of the tests is good', () => {
    assert.deepEqual(errorsOf({}), [])
  })
  for (const [what, change, wanted] of [
    ['no me', { me: undefined }, ['control/me:1:1: there is no such file']],
    ['no me, but both greetings', { me: undefined, smtpgreeting: 'a\n', pop3greeting: 'b\n' }, []],
    ['no smtpcapabilities', { smtpcapabilities: undefined }, ['control/smtpcapabilities:1:1: there is no such file']],
    ['empty smtpcapabilities', { smtpcapabilities: '' }, []],
    [
      'a timeout in words',
      { timeoutsmtpd: 'soon\n' },
      ['control/timeoutsmtpd:1:1: `soon` is not a number from 1 to 86400'],
    ],
    [
      'a timeout of nothing',
      { timeoutsmtpd: '0\n' },
      ['control/timeoutsmtpd:1:1: `0` is not a number from 1 to 86400'],
    ],
    ['a number with blanks after it', { timeoutsmtpd: '7 \t\n' }, []],
    ['an empty file, which means its default', { timeoutsmtpd: '' }, []],
    ['a word that is not known', { barelineend: 'maybe\n' }, ['control/barelineend:1:1: `maybe` is not known']],
    [
      'metrics for everybody',
      { metrics: '0.0.0.0:9587\n' },
      ['control/metrics:1:1: `0.0.0.0:9587` is not a loopback address and port'],
    ],
    [
      'metrics on a port of more than 16 bits',
      { metrics: '127.0.0.1:65537\n' },
      ['control/metrics:1:1: `127.0.0.1:65537` is not a loopback address and port'],
    ],
    ['a group by name', { statusgroup: 'wheel\n' }, ['control/statusgroup:1:1: `wheel` is not a numeric group id']],
    ['no listeners', { listeners: undefined }, ['control/listeners:1:1: there is no such file']],
    ['only comments', { listeners: '# none\n' }, ['control/listeners:1:1: there is no listener']],
    ['no chains', { chains: undefined }, ['control/chains:1:1: there is no such file']],
    [
      'no rule that says 235',
      { fixsmtpio: '' },
      [
        'control/fixsmtpio:1:1: no rule turns the greeting of an authenticated session into 235, so no client would know that it is logged in',
      ],
    ],
    [
      'a warm chain whose backend answers QUIT itself',
      { listeners: '127.0.0.1:0 smtp warm\n', fixsmtpio: 'AUTHUP_USER:greeting::2*::235 ok\n' },
      [
        "control/chains:6:1: the chain warm is warm, but the rules let a backend's own words for greeting or quit through",
      ],
    ],
    [
      'errors in several files, all together',
      { timeoutsmtpd: 'x\n', listeners: 'here smtp submission\n', fixsmtpio: `${good['fixsmtpio']}:bad\n` },
      ['control/listeners:1:1', 'control/fixsmtpio:', 'control/timeoutsmtpd:1:1'],
    ],
  ] as const)
    void it(`with ${what}`, () => {
      const errors = errorsOf(change)
      assert.equal(errors.length, wanted.length, errors.join('\n'))
      for (const part of wanted)
        assert.ok(
          errors.some((error) => error.startsWith(part)),
          errors.join('\n'),
        )
    })
})

void describe('control/listeners', () => {
  for (const [text, wanted] of [
    [`# one\n\n${LISTENER}  \n`, []],
    ['[::1]:587 smtp submission tries=9 guest=open name=a.b:c\n127.0.0.1:0 pop3 submission\n', []],
    ['587 smtp submission\n', ['1:1: `587` is not ADDRESS:PORT']],
    ['127.0.0.1:70000 smtp submission\n', ['1:1: `127.0.0.1:70000` is not ADDRESS:PORT']],
    ['127.0.0.1:587\n', ['1:1: `` is not a protocol', '1:1: the chain is missing']],
    [`${LISTENER}\n127.0.0.1:1 imap submission\n`, ['2:13: `imap` is not a protocol']],
    ['127.0.0.1:587 smtp nowhere\n', ['1:20: there is no chain `nowhere` in control/chains']],
    ['127.0.0.1:587 smtp open\n', ['1:20: the chain open is of kind guest']],
    [`${LISTENER} guest=submission\n`, ['1:20: the chain submission is of kind auth']],
    ['127.0.0.1:110 pop3 submission guest=open\n', ['1:31: `guest=open` is not an option']],
    [`${LISTENER} tries=0 retries=3\n`, ['1:31: `tries=0` is not an option', '1:39: `retries=3` is not an option']],
    [`${LISTENER} name=a\n${LISTENER} name=a\n`, ['2:1: there are two listeners named a']],
  ] as const)
    void it(JSON.stringify(text), () => {
      assert.deepEqual(
        errorsOf({ listeners: text }),
        wanted.map((error) => `control/listeners:${error}`),
      )
    })
})

void describe('control/chains', () => {
  for (const [text, wanted] of [
    [CHAIN, []],
    [`account 1000\n# a remark\n\n${CHAIN}  set RELAYCLIENT=\n  set A=b\n  warm 60\n`, []],
    [`colour red\n${CHAIN}`, ['1:1: `colour` is not known here']],
    [`socket\n${CHAIN}`, ['1:1: socket has one value']],
    [`chain two words\n${CHAIN.replace('chain submission\n', '')}${CHAIN}`, ['1:1: a chain has one name']],
    ['max-processes 1e3', ['1:1: max-processes is not a number from 1 to 1000000']],
    ['min-uid 4294967296', ['1:1: min-uid is not a number from 1 to 4294967294']],
    ['login-timeout 0', ['1:1: login-timeout is not a number from 1 to 3600']],
    ['attempts-per-second 0x10', ['1:1: attempts-per-second is not a number from 1 to 1000000']],
    // With 32 bits it would be root.
    ['account 4294967296', ['1:1: there is no account 4294967296']],
    ['group 4294967296', ['1:1: there is no group 4294967296']],
    [`${CHAIN}${CHAIN}`, ['4:1: there are two chains submission']],
    [`${CHAIN}  kind guest 4294967296 1000\n`, ['4:3: the kind is not known']],
    [`${CHAIN}  colour red\n`, ['4:3: `colour` is not known in a chain']],
    [`${CHAIN}  kind both\n`, ['4:3: the kind is not known']],
    [`${CHAIN}  set 9=1\n`, ['4:3: not a variable']],
    [`${CHAIN}  warm 61\n`, ['4:3: warm is not a number of seconds from 0 to 60']],
    [`${CHAIN}\tbackend sh\n`, ['4:2: the backend is not an absolute path']],
    ['chain submission\n  checkpassword builtin\n', ['1:1: the chain submission has no backend']],
    ['chain submission\n  backend /bin/backend\n', ['1:1: the chain submission has no checkpassword']],
  ] as const)
    void it(JSON.stringify(text), () => {
      // A bad chains file leaves the listeners without a verdict of their own.
      assert.deepEqual(
        errorsOf({ chains: text.includes('\n') ? text : `${text}\n${CHAIN}`, listeners: `${LISTENER}\n` }),
        wanted.map((error) => `control/chains:${error}`),
      )
    })
})
