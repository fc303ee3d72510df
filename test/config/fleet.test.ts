// control/fleet: what it says, and every error with its place.
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type FleetConfig, parseFleet, readFleetSecrets } from '../../src/config/fleet.ts'

const parsed = (text: string): FleetConfig | undefined => parseFleet(text, 'control/fleet', 'mx1')._unsafeUnwrap()
const errors = (text: string): readonly string[] =>
  parseFleet(text, 'control/fleet', 'mx1')
    ._unsafeUnwrapErr()
    .map(({ line, column, problem }) => `${line}:${column}: ${problem}`)

void describe('control/fleet', () => {
  void it('may be missing, and needs only one line', () => {
    assert.equal(parseFleet(undefined, 'control/fleet')._unsafeUnwrap(), undefined)
    assert.deepEqual(parsed('engine redis://192.0.2.9\n'), {
      engine: { tls: false, host: '192.0.2.9', port: 6379, database: 0, text: 'redis://192.0.2.9' },
      user: undefined,
      password: undefined,
      authority: undefined,
      name: 'mx1',
      prefix: 'acceptd',
      quorum: 'majority',
      deadline: 5,
    })
  })

  void it('has one word a line', () => {
    const text = [
      '# our hosts',
      'engine    rediss://[2001:db8::9]:6380/2',
      'user      acceptd',
      'password  /etc/acceptd/fleet.key',
      'authority /etc/acceptd/fleet.pem',
      'name      mail-2',
      'prefix    mail',
      'quorum    2',
      'deadline  10',
      '',
    ].join('\n')
    assert.deepEqual(parsed(text), {
      engine: { tls: true, host: '2001:db8::9', port: 6380, database: 2, text: 'rediss://[2001:db8::9]:6380/2' },
      user: 'acceptd',
      password: { file: '/etc/acceptd/fleet.key', line: 4 },
      authority: { file: '/etc/acceptd/fleet.pem', line: 5 },
      name: 'mail-2',
      prefix: 'mail',
      quorum: 2,
      deadline: 10,
    })
  })

  void it('says what is wrong, where, and all of it', () => {
    assert.deepEqual(errors('\n'), ['1:1: there is no line engine'])
    assert.deepEqual(errors('engine redis://a\n engnie redis://b\nquorum most\ndeadline 0\nname\nuser a\nuser b\n'), [
      '2:2: `engnie` is not known; did you mean engine?',
      '3:8: `most` is not a value of quorum',
      '4:10: `0` is not a value of deadline',
      '5:1: name has no value',
      '7:1: there are two lines user',
    ])
    for (const address of ['http://a', 'redis://', 'redis://a:0', 'redis://a:70000', 'redis://a/b/c', '192.0.2.1'])
      assert.deepEqual(errors(`engine ${address}\n`), [`1:8: \`${address}\` is not an address`])
    assert.deepEqual(errors('engine redis://u:secret@a\n'), ['1:8: no user and no password belong into the address'])
    assert.match(
      String(parseFleet('engine redis://a\n', 'control/fleet', 'a b')._unsafeUnwrapErr()[0]?.problem),
      /`a b`, the name of this host/,
    )
  })

  void it('refuses a password that everybody can read, or that is missing', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'acceptd-fleet-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const file = join(directory, 'key')
    const fleet = parsed(`engine redis://a\npassword ${file}\n`)
    const trouble = () => readFleetSecrets(fleet)._unsafeUnwrapErr()[0]?.problem
    assert.equal(trouble(), `${file} cannot be read: ENOENT`)
    writeFileSync(file, 'secret\n', { mode: 0o600 })
    assert.deepEqual(readFleetSecrets(fleet)._unsafeUnwrap(), { password: 'secret', authority: undefined })
    chmodSync(file, 0o604)
    assert.equal(trouble(), `${file} can be read by everybody`)
    chmodSync(file, 0o600)
    writeFileSync(file, '\n')
    assert.equal(trouble(), `${file} is empty`)
    assert.deepEqual(readFleetSecrets(undefined)._unsafeUnwrap(), { password: undefined, authority: undefined })
  })
})
