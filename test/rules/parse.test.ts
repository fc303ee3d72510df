import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseRules, rulesIn } from '../../src/rules/parse.ts'
import { held } from '../protocol/results.ts'

const FILE = 'control/fixsmtpio'

/** Errors as `line:column problem`, or the rules' texts. */
function parsed(text: string): string[] {
  return parseRules(text, FILE).match(
    (set) => rulesIn(set).map((rule) => rule.text),
    (errors) =>
      errors.map(({ file, line, column, problem }) => `${file === FILE ? '' : file}${line}:${column} ${problem}`),
  )
}

const FIELDS = (seen: number): string => `the rule ends after ${seen} of 6 fields`
const CODE = (code: string): string => `the exit code ${code} is not a number from 0 to 255`

const REFUSED: readonly (readonly [hazard: string, text: string, errors: readonly string[]])[] = [
  ['no colons', 'hello', [`1:6 ${FIELDS(1)}`]],
  ['a comma', ',', [`1:2 ${FIELDS(1)}`]],
  ['four fields', 'env:event:prepend:glob', [`1:23 ${FIELDS(4)}`]],
  ['five fields', 'env:event:prepend:glob:55', [`1:26 ${FIELDS(5)}`]],
  ['nothing but colons', ':::::', ['1:2 the rule has no event', '1:4 the rule has no response-line glob']],
  ['an indented comment', '  # comment', [`1:12 ${FIELDS(1)}`]],
  ['exit code 256', ':noop::*:256:x', [`1:10 ${CODE('256')}`]],
  ['an exit code that overflows', ':noop::*:99999999999999999999:x', [`1:10 ${CODE('99999999999999999999')}`]],
  ['an exit code that wraps to 0 in 32 bits', ':noop::*:4294967296:x', [`1:10 ${CODE('4294967296')}`]],
  ['an exit code with a sign', ':noop::*:+5:x', [`1:10 ${CODE('+5')}`]],
  ['an exit code below 0', ':noop::*:-1:x', [`1:10 ${CODE('-1')}`]],
  ['an exit code with more after it', ':noop::*:12x:x', [`1:10 ${CODE('12x')}`]],
  ['an exit code with a space', ':noop::*: 5:x', [`1:10 ${CODE(' 5')}`]],
  [
    'a response to a client that is gone',
    ':CLIENTEOF::*:0:bye',
    ['1:17 clienteof has a response, but the client is gone'],
  ],
  [
    'a noop for a client that is gone',
    ':clienteof::*:0:&fixsmtpio_noop',
    ['1:17 clienteof has a response, but the client is gone'],
  ],
  ['a fix-up that does not exist', ':data::*::&fixsmtpio_fixup', ['1:11 there is no fix-up for data']],
  ['a fix-up for timeout', ':timeout::*::&fixsmtpio_fixup', ['1:14 there is no fix-up for timeout']],
  [
    'a fix-up for a name every object has',
    ':constructor::*::&fixsmtpio_fixup',
    ['1:18 there is no fix-up for constructor'],
  ],
  ['a reserved response', ':ehlo::*::&fixsmtpio', ['1:11 the response &fixsmtpio is not known']],
  [
    'a reserved response with more after it',
    ':ehlo::*::&fixsmtpio_noop x',
    ['1:11 the response &fixsmtpio_noop x is not known'],
  ],
  ['a reserved response and a CR', ':ehlo::*::&fixsmtpio_noop\r', ['1:11 the response &fixsmtpio_noop\r is not known']],
  [
    'an old name with more after it',
    ':ehlo::*::&qmail-fixsmtpio x',
    ['1:11 the response &qmail-fixsmtpio x is not known'],
  ],
  ['a NUL', ':noop::*::a\0b', ['1:12 the line has a NUL in it']],
  [
    'errors in several lines, all of them',
    '# fine\n\n:noop::*::250 ok\n:noop::*:300:x\nhello\n',
    [`4:10 ${CODE('300')}`, `5:6 ${FIELDS(1)}`],
  ],
]
for (const [hazard, text, errors] of REFUSED) {
  void test(`refused: ${hazard}`, () => {
    assert.deepEqual(parsed(text), errors)
    assert.deepEqual(parsed(`${text}\n`), errors)
  })
}

void test('every error says what to write instead', () => {
  const result = parseRules(REFUSED.map(([, text]) => text).join('\n'), FILE)
  assert.ok(result.isErr() && result.error.every(({ hint }) => hint.length > 10))
  assert.ok(result.error.some(({ hint }) => hint === 'a comment begins with # in column 1'))
})

const TAKEN: readonly (readonly [what: string, text: string, rules: readonly string[]])[] = [
  ['nothing', '', []],
  ['comments and blank lines', '#\n# :::\n\n   \n\t\n#x', []],
  ['trailing spaces and tabs are cut', ':noop::*::250 hi \t \n', [':noop::*::250 hi']],
  ['a CR is not cut', ':noop::*::250 hi\r\n', [':noop::*::250 hi\r']],
  ['no newline at the end', ':noop::*::250 hi', [':noop::*::250 hi']],
  ['a space before the variable is part of its name', ' X:noop::*::250 hi', [' X:noop::*::250 hi']],
]
for (const [what, text, rules] of TAKEN) {
  void test(`taken: ${what}`, () => {
    assert.deepEqual(parsed(text), rules)
  })
}

void test('the fields of a rule, and a response with colons', () => {
  const rules = rulesIn(held(parseRules('\n X:NoOp\xc9:NOOP :25[0-9]*:055:250 a:b::\xe9', FILE)))
  assert.deepEqual(rules, [
    {
      line: 2,
      env: ' X',
      event: 'noop\xc9',
      prepend: 'NOOP ',
      glob: '25[0-9]*',
      exitcode: 55,
      response: { kind: 'replace', text: '250 a:b::\xe9' },
      text: ' X:NoOp\xc9:NOOP :25[0-9]*:055:250 a:b::\xe9',
    },
  ])
})

void test('the responses that are not text, by their new names and their old', () => {
  const names = ['', '&fixsmtpio_noop', '&qmail-leavesmtpio', '&fixsmtpio_fixup', '&qmail-fixsmtpio']
  const rules = rulesIn(held(parseRules(names.map((name) => `:ehlo::*::${name}`).join('\n'), FILE)))
  assert.deepEqual(
    rules.map((rule) => rule.response.kind),
    ['remove', 'noop', 'noop', 'fixup', 'fixup'],
  )
})

void test('the control/fixsmtpio that is shipped is the recommended one', () => {
  const rules = rulesIn(held(parseRules(readFileSync('control/fixsmtpio', 'latin1'), FILE)))
  assert.deepEqual(
    rules.map((rule) => rule.text),
    [
      ':help::*::&fixsmtpio_fixup',
      ':greeting::2*::&fixsmtpio_fixup',
      ':helo::2*::&fixsmtpio_fixup',
      ':ehlo::2*::&fixsmtpio_fixup',
      ':quit::2*::&fixsmtpio_fixup',
      'AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)',
      'AUTHUP_USER:clienteof::*:0:',
      'AUTHUP_USER:greeting::4*:14:&fixsmtpio_noop',
      'AUTHUP_USER:greeting::5*:15:&fixsmtpio_noop',
      'AUTHUP_USER:timeout::*:16:',
      'AUTHUP_USER:ehlo::250?AUTH*::',
      'AUTHUP_USER:auth:NOOP :*::503 already authenticated (#5.5.1)',
    ],
  )
})
