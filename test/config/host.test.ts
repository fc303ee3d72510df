// What control/ requires of the host, on a host that lacks it.
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseChains } from '../../src/config/chains.ts'
import { compileConfig } from '../../src/config/config.ts'
import { addressTroubles, helperFileTrouble, programTroubles, runTrouble } from '../../src/config/host.ts'
import { controlTexts } from '../support/control.ts'
import { parseTranscripts } from '../support/transcript.ts'

const isRoot = process.getuid?.() === 0
const folder = mkdtempSync(join(tmpdir(), 'acceptd-host-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const at = (...names: string[]) => join(folder, ...names)

/** A file with this mode. */
function file(name: string, text: string, mode: number): string {
  writeFileSync(at(name), text)
  chmodSync(at(name), mode)
  return at(name)
}

const said = (lines: string): string => {
  const chains = parseChains(`chain a\n${lines}`, 'control/chains')
  if (chains.isErr()) throw new Error(JSON.stringify(chains.error))
  return programTroubles({ chains: chains.value }).join('\n').replaceAll(folder, 'DIR')
}

const good = file('good', '#!/bin/sh\n', 0o755)
const checkpassword = `checkpassword ${good}\n`
const PROGRAMS: readonly (readonly [what: string, lines: string, said: string])[] = [
  ['programs that are there', `${checkpassword}backend ${good}\n`, ''],
  [
    'a backend that is missing',
    `${checkpassword}backend ${at('none')} x\n`,
    'control/chains:1: the chain a: DIR/none: there is no such file',
  ],
  [
    'a backend below a file',
    `${checkpassword}backend ${good}/x\n`,
    'control/chains:1: the chain a: DIR/good/x: there is no such file',
  ],
  [
    'a backend that nobody may execute',
    `${checkpassword}backend ${file('plain', '#!/bin/sh\n', 0o644)}\n`,
    'control/chains:1: the chain a: DIR/plain: nobody may execute it',
  ],
  [
    'a backend that is a folder',
    `${checkpassword}backend ${folder}\n`,
    'control/chains:1: the chain a: DIR: it is not a regular file',
  ],
  [
    'a script whose interpreter is missing',
    `${checkpassword}backend ${file('script', `#! ${at('perl')} -w\n`, 0o755)}\n`,
    'control/chains:1: the chain a: DIR/script: there is no DIR/perl, which is to run it',
  ],
  [
    'a checkpassword that is missing',
    `checkpassword ${at('none')}\nbackend ${good}\n`,
    'control/chains:1: the chain a: DIR/none: there is no such file',
  ],
  [
    'a file of passwords that is missing',
    `checkpassword builtin ${at('none')}\nbackend ${good}\n`,
    'control/chains:1: the chain a: DIR/none: there is no such file to check passwords with',
  ],
  ['the passwords of the system', `checkpassword builtin\nbackend ${good}\n`, ''],
  ['a guest, who has no password', `kind guest 1 1\nbackend ${good}\n`, ''],
]
for (const [what, lines, expected] of PROGRAMS)
  void test(`${what}: ${expected === '' ? 'well' : 'said'}`, () => assert.equal(said(lines), expected))

void test('an address of another host is said with its line', async () => {
  const [plain] = parseTranscripts('# settings', '')
  if (plain === undefined) throw new Error('no settings')
  const listeners =
    '127.0.0.1:1 smtp submission\n0.0.0.0:2 smtp submission tls=off\n192.0.2.1:3 smtp submission tls=off\n'
  const config = compileConfig({ ...controlTexts(plain.settings), listeners })
  if (config.isErr()) throw new Error(JSON.stringify(config.error))
  assert.deepEqual(await addressTroubles(config.value), [
    'control/listeners:3: this host has not the address 192.0.2.1',
  ])
})

void test("a helper without root's rights is said, unless nobody or somebody else gives it any", {
  skip: !isRoot,
}, () => {
  const helper = file('helper', '', 0o755)
  const trouble = (root: boolean) => helperFileTrouble('serve', { root, run: folder, helper })
  assert.match(trouble(true) ?? '', /helper: it is not setuid root; it has to be root:GROUP 4750/)
  assert.equal(trouble(false), undefined)
  assert.equal(helperFileTrouble('unit', { root: true, run: folder, helper }), undefined)
  chmodSync(helper, 0o4750)
  assert.equal(trouble(true), undefined)
  chownSync(helper, 1, 1)
  chmodSync(helper, 0o4750)
  assert.match(trouble(true) ?? '', /not setuid root/)
  assert.match(helperFileTrouble('run', { root: true, run: folder, helper: at('none') }) ?? '', /there is no such file/)
})

void test('a run directory that others could replace is said', { skip: !isRoot }, () => {
  const trouble = (name: string, root = true) =>
    runTrouble({ root, run: at(name), helper: '' })?.replaceAll(folder, 'DIR')
  mkdirSync(at('wide'))
  mkdirSync(at('sticky'))
  chmodSync(at('sticky'), 0o1777)
  assert.equal(trouble('none/of/these'), undefined)
  assert.equal(trouble('sticky/run'), undefined)
  chmodSync(at('wide'), 0o777)
  assert.match(trouble('wide/run') ?? '', /control sockets: DIR\/wide can be written by others than its owner$/)
  chmodSync(at('wide'), 0o775)
  assert.equal(trouble('wide/run', false), undefined)
  assert.match(trouble('wide/run') ?? '', /DIR\/wide can be written/)
  chmodSync(at('wide'), 0o755)
  chownSync(at('wide'), 1, 1)
  assert.match(trouble('wide/run') ?? '', /DIR\/wide belongs to uid 1$/)
})
