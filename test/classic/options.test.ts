// The command lines of authup and reup, as sgetopt of qmail reads them.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const bin = join(fileURLToPath(new URL('../../..', import.meta.url)), 'dist/programs')
const USAGE = {
  authup: 'authup: usage: authup [ -t tries ] <smtp|pop3> prog\n',
  reup: 'reup: usage: reup [ -t tries ] prog\n',
}

function ran(program: string, words: readonly string[]): { readonly code: number | null; readonly said: string } {
  const { status, stderr } = spawnSync(join(bin, program), words, {
    encoding: 'latin1',
    env: { PATH: '/usr/bin:/bin', QMAILHOME: '/nonexistent' },
    input: '',
  })
  return { code: status, said: stderr }
}

for (const program of ['reup', 'authup'] as const)
  for (const [words, problem] of [
    [[], ''],
    [['-t'], 'option requires an argument -- t'],
    [['-t', '5'], ''],
    [['-t', 'x', 'true'], ''],
    [['-t', '', 'true'], ''],
    [['-t', '-1', 'true'], ''],
    [['-x', 'true'], 'illegal option -- x'],
    [['-xt', 'true'], 'illegal option -- x'],
    [['-t2', '-v', 'true'], 'illegal option -- v'],
    [['--'], ''],
    [['--tries'], ''],
  ] as const)
    void test(`${[program, ...words].join(' ')}: ${problem || 'the usage alone'}`, () => {
      const said = `${problem === '' ? '' : `${program}: ${problem}\n`}${USAGE[program]}`
      assert.deepEqual(ran(program, words), { code: 1, said })
    })

void test('an alias names its own name in front of the usage', () => {
  assert.equal(ran('qmail-reup', ['-x']).said, `qmail-reup: illegal option -- x\n${USAGE.reup}`)
  assert.equal(ran('qmail-authup', ['-x']).said, `qmail-authup: illegal option -- x\n${USAGE.authup}`)
})

void test('reup: a number ends where its digits do, the last one counts, and a word that begins with -- ends the options', () => {
  for (const [words, limit] of [
    [['-t', '2x'], '2'],
    [['-t2x'], '2'],
    [['-t', '1', '-t3'], '3'],
    [['-t2', '--'], '2'],
    [['-t2', '--anything'], '2'],
  ] as const) {
    const { code, said } = ran('reup', [...words, 'false'])
    assert.equal(code, 1)
    assert.match(said, new RegExp(`^reup \\d+ false \\d+ \\(${limit}/${limit}\\): exit 1\n$`, 'm'), words.join(' '))
  }
})

void test('what cannot be read is named on request, after what is recorded', () => {
  const unreadable = (program: string, words: readonly string[], variable: Record<string, string>): string =>
    spawnSync(join(bin, program), words, {
      encoding: 'latin1',
      env: { PATH: '/usr/bin:/bin', QMAILHOME: '/nonexistent', ...variable },
      input: '',
    }).stderr.replaceAll(/^authup \d+/gm, 'authup PID')
  const named = /\/nonexistent\/control\/me: no such file, and no smtpgreeting\n$/
  const authup = 'authup PID protocol smtp\n'
  assert.equal(unreadable('authup', ['smtp', 'true'], {}), authup)
  assert.match(unreadable('authup', ['smtp', 'true'], { AUTHUP_DEBUG: '' }), named)
  const fixsmtpio = 'fixsmtpio: unable to read controls\n'
  assert.equal(unreadable('fixsmtpio', ['true'], {}), fixsmtpio)
  assert.match(unreadable('fixsmtpio', ['true'], { FIXSMTPIODEBUG: '' }), new RegExp(`^${fixsmtpio}.*${named.source}`))
})
