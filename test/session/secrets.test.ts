// What a client says before login is gone from memory once the helper has it: it is in no buffer that was handed in, in no frame, and
// was never a string.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { getHeapSnapshot } from 'node:v8'
import { newAuthup } from '../../src/actors/authup-state.ts'
import { newCheckpassword } from '../../src/actors/checkpassword.ts'
import { TAG } from '../../src/actors/frames.ts'
import { newReup } from '../../src/actors/reup.ts'
import { bytesOf, concat, wipe } from '../../src/protocol/bytes.ts'
import type { DialogueSettings } from '../../src/protocol/dialogue.ts'
import type { LoginMethod } from '../../src/protocol/sasl.ts'
import { encodeFrame } from '../../src/session/codec.ts'
import { createStages, type Staged } from '../../src/session/stages.ts'

const LETTERS = bytesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

/** Never a string, and different in each run. */
const secretOf = (octets: number): Uint8Array => randomBytes(octets).map((octet) => LETTERS[octet % 52] as number)

function base64(octets: Uint8Array): Uint8Array {
  const missing = (3 - (octets.length % 3)) % 3
  const bytes = concat([octets, new Uint8Array(missing)])
  const out = new Uint8Array((bytes.length / 3) * 4)
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3)
    out.set([a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63], (at / 3) * 4)
  }
  const text = out.map((value) => LETTERS[value] as number)
  text.fill(EQUALS, text.length - missing)
  return text
}

const EQUALS = 61

const line = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  concat([...parts, '\r\n'].map((part) => (typeof part === 'string' ? bytesOf(part) : part)))

interface Way {
  readonly name: string
  readonly protocol: 'smtp' | 'pop3'
  /** Reads of a client `me` with this password of 36 octets. */
  readonly reads: (password: Uint8Array) => readonly Uint8Array[]
}

const blob = (password: Uint8Array): Uint8Array => base64(concat([bytesOf('me\0me\0'), password]))
const bearer = (token: Uint8Array): Uint8Array => concat([bytesOf('auth=Bearer '), token, bytesOf('\x01\x01')])
/** The password, and what its base64 contains whatever precedes it. */
const formsOf = (password: Uint8Array): readonly Uint8Array[] => [
  password,
  base64(password),
  blob(password),
  base64(password.subarray(1, 34)),
  base64(password.subarray(2, 35)),
]
const halves = (bytes: Uint8Array): readonly Uint8Array[] => [bytes.slice(0, 30), bytes.slice(30)]

const WAYS: readonly Way[] = [
  { name: 'AUTH PLAIN', protocol: 'smtp', reads: (password) => [line('AUTH PLAIN ', blob(password))] },
  {
    name: 'AUTH PLAIN in two reads',
    protocol: 'smtp',
    reads: (password) => halves(line('AUTH PLAIN ', blob(password))),
  },
  {
    name: 'AUTH PLAIN after a challenge',
    protocol: 'smtp',
    reads: (password) => [line('auth plain'), line(blob(password))],
  },
  {
    name: 'AUTH LOGIN',
    protocol: 'smtp',
    reads: (password) => [line('AUTH LOGIN'), line('bWU='), line(base64(password))],
  },
  {
    name: 'AUTH XOAUTH2',
    protocol: 'smtp',
    reads: (token) => [line('AUTH XOAUTH2 ', base64(concat([bytesOf('user=me\x01'), bearer(token)])))],
  },
  {
    name: 'AUTH OAUTHBEARER after a challenge, in POP3',
    protocol: 'pop3',
    reads: (token) => [
      line('AUTH OAUTHBEARER'),
      line(base64(concat([bytesOf('n,a=me,\x01host=a\x01'), bearer(token)]))),
    ],
  },
  {
    name: 'AUTH PLAIN after one that is refused',
    protocol: 'smtp',
    reads: (password) => [
      line('AUTH PLAIN ', blob(password), '!'),
      line(blob(password)),
      line('AUTH PLAIN ', blob(password)),
    ],
  },
  { name: 'PASS', protocol: 'pop3', reads: (password) => [line('USER me'), line('PASS ', password)] },
  {
    name: 'PASS in two reads',
    protocol: 'pop3',
    reads: (password) => [line('USER me'), ...halves(line('PASS ', password))],
  },
  { name: 'AUTH PLAIN of POP3', protocol: 'pop3', reads: (password) => [line('AUTH PLAIN ', blob(password))] },
]

const SASL: readonly LoginMethod[] = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2', 'OAUTHBEARER']

function dialogue(protocol: 'smtp' | 'pop3'): DialogueSettings {
  const capabilities = protocol === 'pop3' ? ['SASL PLAIN'] : []
  return {
    protocol,
    greeting: '',
    capabilities,
    tls: 'none',
    brokenClients: false,
    guest: false,
    mechanisms: protocol === 'pop3' ? ['USER', ...SASL] : SASL,
    credentials: 512,
    classic: false,
  }
}

/** Sends the reads; returns what was meant for descriptor 3, before it was wiped, and every buffer that passed. */
function login({ protocol, reads }: Way, password: Uint8Array) {
  const session: Staged = {
    front: 'authup',
    actors: {
      reup: newReup(20),
      authup: newAuthup(dialogue(protocol), ''),
      checkpassword: newCheckpassword,
      fixsmtpio: undefined,
    },
  }
  let asked: Uint8Array = new Uint8Array(0)
  const stages = createStages<Staged>(
    (_session, effect) => {
      if (effect.do !== 'ask-helper') return
      asked = Uint8Array.from(effect.credentials)
      wipe(effect.credentials)
    },
    (_session, _actor, error) => assert.fail(String(error)),
  )
  const handedIn = [...reads(password)]
  for (const read of handedIn) stages.post(session, [TAG.input, 1, read])
  return { asked, handedIn, kept: session.actors.authup.rest }
}

/** msgpackr's buffer: each frame is the next part of it. */
const codecMemory = (): Buffer => Buffer.from(encodeFrame([TAG.start, 1]).buffer)

for (const way of WAYS) {
  void test(`${way.name}: the password is wiped everywhere`, () => {
    const password = secretOf(36)
    const { asked, handedIn, kept } = login(way, password)
    assert.deepEqual(asked, Uint8Array.from(concat([bytesOf('me\0'), password, bytesOf('\0\0')])))
    for (const read of handedIn)
      assert.equal(
        read.some((octet) => octet !== 0),
        false,
      )
    assert.equal(kept.length, 0)
    const memory = codecMemory()
    for (const form of formsOf(password)) assert.equal(memory.indexOf(form.subarray(0, 16)), -1)
  })
}

void test('no way to log in makes a string of a password', async () => {
  const passwords = WAYS.map((way) => {
    const password = secretOf(36)
    login(way, password)
    return password
  })
  const parts: Buffer[] = []
  for await (const part of getHeapSnapshot()) parts.push(part as Buffer)
  const snapshot = Buffer.concat(parts)
  assert.ok(snapshot.includes('AUTH PLAIN after one that is refused'), 'strings are in the snapshot')
  for (const [i, password] of passwords.entries())
    for (const form of formsOf(password)) assert.equal(snapshot.indexOf(form.subarray(8, 24)), -1, WAYS[i]?.name)
})
