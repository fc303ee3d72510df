import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesOf, textOf } from '../../src/protocol/bytes.ts'
import { acceptablePassword, acceptableUser, credentialsFor, decodePlain } from '../../src/protocol/sasl.ts'
import { held } from './results.ts'

const GOOD: readonly (readonly [what: string, text: string, user: string, password: string])[] = [
  ['no authorization identity', '\0user\0pass', 'user', 'pass'],
  ['the same authorization identity', 'user\0user\0pass', 'user', 'pass'],
  ['a third NUL ends the password', '\0user\0pass\0more', 'user', 'pass'],
  ['spaces and eight bits', '\0us er\xe9\0pa ss\xff', 'us er\xe9', 'pa ss\xff'],
  ['a tab in the password', '\0user\0pa\tss', 'user', 'pa\tss'],
]
for (const [what, text, user, password] of GOOD) {
  void test(`PLAIN with ${what} is taken`, () => {
    const decoded = held(decodePlain(bytesOf(text)))
    assert.deepEqual([decoded.user, textOf(decoded.password)], [user, password])
  })
}

const BAD: readonly (readonly [hazard: string, text: string])[] = [
  ['nothing', ''],
  ['no NUL', 'userpass'],
  ['one NUL', 'user\0pass'],
  ['an empty user', '\0\0pass'],
  ['an empty password', '\0user\0'],
  ['an empty password before a third NUL', '\0user\0\0more'],
  ['a line feed in the user, a second line in the log', '\0us\ner\0pass'],
  ['an escape in the user', '\0us\x1b[2Jer\0pass'],
  ['DEL in the user', '\0us\x7fer\0pass'],
  ['CR in the password', '\0user\0pa\rss'],
  ['LF in the password', '\0user\0pass\n'],
]
for (const [hazard, text] of BAD) {
  void test(`PLAIN with ${hazard} is malformed`, () => {
    assert.equal(decodePlain(bytesOf(text)).isErr(), true)
  })
}

void test("PLAIN with another authorization identity is nobody's login (RFC 4616 section 2)", () => {
  for (const asked of ['other', 'User', 'user ', ' ', 'use', 'user\xa0'])
    assert.deepEqual(decodePlain(bytesOf(`${asked}\0user\0pass`))._unsafeUnwrapErr(), { user: 'user' }, asked)
})

void test('the password is a copy that can be wiped', () => {
  const message = bytesOf('\0user\0pass')
  const { password } = held(decodePlain(message))
  password.fill(0)
  assert.equal(textOf(message), '\0user\0pass')
  assert.equal(password.buffer.byteLength, 4)
})

void test('LOGIN, USER and PASS follow the same rules', () => {
  assert.equal(acceptableUser('u '), true)
  assert.equal(acceptableUser(''), false)
  assert.equal(acceptableUser('u\0'), false)
  assert.equal(acceptablePassword(bytesOf('p ')), true)
  assert.equal(acceptablePassword(bytesOf('')), false)
  assert.equal(acceptablePassword(bytesOf('p\0q')), false)
})

void test('descriptor 3 carries user, password and timestamp, each with its NUL', () => {
  assert.equal(textOf(held(credentialsFor('u\xe9', bytesOf('p'), '<1.2@me>', 512))), 'u\xe9\0p\0<1.2@me>\0')
  assert.equal(textOf(held(credentialsFor('u', bytesOf('p'), '', 512))), 'u\0p\0\0')
})

void test('512 octets go to descriptor 3, 513 do not', () => {
  assert.equal(held(credentialsFor('u', bytesOf('x'.repeat(508)), '', 512)).length, 512)
  assert.equal(credentialsFor('u', bytesOf('x'.repeat(509)), '', 512).isErr(), true)
  assert.equal(held(credentialsFor('u', bytesOf('x'.repeat(509)), '', 8192)).length, 513)
})
