// A certificate and its key are used only if they fit, are valid now, and the key is secret.
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileMark, readCertificate, untimely } from '../../src/edge/certificates.ts'
import { makePair, type PairFiles } from '../support/tls.ts'

const DAY = 86_400_000
const dir = mkdtempSync(join(tmpdir(), 'acceptd-certificates-'))
after(() => rmSync(dir, { recursive: true }))
const good = makePair(dir, 'mx.example')
const other = makePair(dir, 'other.example', 'rsa')
const file = (name: string, text: string, mode = 0o600): string => {
  writeFileSync(join(dir, name), text)
  chmodSync(join(dir, name), mode)
  return join(dir, name)
}

/** `file problem`, the folder left out. */
function troubleOf(files: PairFiles, now = Date.now()): string | undefined {
  const trouble = readCertificate(files).match(
    ({ facts }) => untimely(files, facts, now),
    (error) => error,
  )
  if (trouble === undefined) return undefined
  assert.notEqual(trouble.hint, '')
  return `${trouble.file} ${trouble.problem}`.replaceAll(`${dir}/`, '')
}

void describe('a certificate', () => {
  void it('that fits its key is read and described', () => {
    const { facts } = readCertificate(good)._unsafeUnwrap()
    assert.deepEqual(
      [facts.subject, facts.issuer, facts.keyType, facts.hosts],
      ['CN=mx.example', 'CN=mx.example', 'ec', ['mx.example']],
    )
    assert.match(facts.fingerprint, /^[0-9a-f]{64}$/)
    assert.ok(Math.abs(facts.expires - facts.begins - 30 * DAY) < 2000)
  })
  for (const [what, files, wanted] of [
    ['that is not there', { ...good, certificate: join(dir, 'none.pem') }, 'none.pem cannot be read: ENOENT'],
    ['whose key is not there', { ...good, key: join(dir, 'none.key') }, 'none.key cannot be read: ENOENT'],
    [
      'with the key of another one',
      { ...good, key: other.key },
      /^other\.example-rsa\.key is not the key of mx\.example-ec\.pem$/,
    ],
    ['that is empty', { ...good, certificate: file('empty.pem', '') }, /^empty\.pem is not a certificate/],
    ['that is no PEM', { ...good, certificate: file('text.pem', 'mx.example\n') }, /^text\.pem is not a certificate/],
    ['that is a folder', { ...good, certificate: dir }, /cannot be read: EISDIR/],
    ['whose key is no PEM', { ...good, key: file('text.key', 'secret\n') }, /^text\.key is not a private key/],
    ['in the place of its key', { ...good, key: good.certificate }, /is not a private key|everybody can read/],
  ] as const) {
    void it(`${what} is refused`, () => {
      const found = troubleOf(files)
      if (typeof wanted === 'string') assert.equal(found, wanted)
      else assert.match(found ?? '', wanted)
      assert.doesNotMatch(found ?? '', /secret/)
    })
  }
  for (const [mode, secret] of [
    [0o600, true],
    [0o640, true],
    [0o400, true],
    [0o644, false],
    [0o602, false],
    [0o601, false],
  ] as const) {
    void it(`whose key has the mode ${mode.toString(8)} is ${secret ? 'used' : 'refused'}`, () => {
      const key = join(dir, `mode-${mode.toString(8)}.key`)
      copyFileSync(good.key, key)
      chmodSync(key, mode)
      const found = troubleOf({ ...good, key })
      if (secret) assert.equal(found, undefined)
      else assert.match(found ?? '', /everybody can read this key$/)
    })
  }
  void it('that has expired, or is not valid yet, is refused with the time', () => {
    assert.match(troubleOf(good, Date.now() + 31 * DAY) ?? '', /^mx\.example-ec\.pem expired at 20\d\d-\d\d-\d\dT/)
    assert.match(troubleOf(good, Date.now() - DAY) ?? '', /is valid from 20\d\d-\d\d-\d\dT\S+ only$/)
  })
  void it('is a new one when a link points elsewhere, as after a renewal', () => {
    const link = join(dir, 'live.pem')
    symlinkSync(good.certificate, link)
    const before = fileMark(link)
    assert.equal(fileMark(link), before)
    unlinkSync(link)
    symlinkSync(other.certificate, link)
    assert.notEqual(fileMark(link), before)
    unlinkSync(link)
    assert.equal(fileMark(link), 'ENOENT')
  })
})
