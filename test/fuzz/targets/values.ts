// Readers of one value: they throw at nothing, and what they read is what was written.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from '../../../src/protocol/base64.ts'
import { bytesOf, concat, textOf } from '../../../src/protocol/bytes.ts'
import { encodeHelperRequest, type HelperKind, parseStatus } from '../../../src/protocol/helper.ts'
import { credentialsFor, decodeBearer, decodeDigest, decodePlain, decodeXoauth2 } from '../../../src/protocol/sasl.ts'
import { readOctets, shownOctets } from '../../../src/rpc/octets.ts'
import { anyOctets, octets, pure } from '../target.ts'

const BASE64 = [
  'QUFB',
  'AA==',
  'AAA=',
  'AB==',
  'AAB=',
  '=',
  'a',
  '+',
  '/',
  '-',
  '_',
  '\n',
  ' ',
  '\0',
  '\xff',
  'AGEAYg==',
]
const base64 = pure(
  'base64',
  'base 64 is taken if and only if encoding its octets gives it again',
  octets(BASE64, 8),
  (text) => {
    const decoded = decodeBase64(bytesOf(text))
    const loose = Buffer.from(text, 'base64')
    assert.equal(decoded.isOk(), loose.toString('base64') === text)
    if (decoded.isErr()) return
    assert.deepEqual(Buffer.from(decoded.value), loose)
    assert.equal(encodeBase64(decoded.value), text)
  },
)

const hasControl = (text: string): boolean => text.split('').some((letter) => letter < ' ' || letter === '\x7f')

const SASL = [
  '\0',
  '\x01',
  'ann',
  'auth=Bearer ',
  'auth=bearer x',
  'user=',
  'n,a=',
  ',',
  '=2C',
  '=3D',
  '=',
  ' ',
  '0123456789abcdef0123456789abcdef',
  'n,a=ann,\x01auth=Bearer t\x01\x01',
  'user=ann\x01auth=Bearer t\x01\x01',
  '\r',
  '\n',
  '\x7f',
  '\xe9',
]
const sasl = pure(
  'sasl',
  'a SASL message gives a name without control characters and a secret, or nothing; descriptor 3 gets exactly its three fields',
  octets(SASL, 10),
  (text) => {
    const bytes = bytesOf(text)
    const plain = decodePlain(bytes)
    const found = [decodeDigest(bytes), decodeXoauth2(bytes), decodeBearer(bytes)].flatMap((named) =>
      named === undefined ? [] : [named],
    )
    if (plain.isOk()) found.push({ user: plain.value.user, secret: plain.value.password })
    for (const { user, secret } of found) {
      assert.ok(user !== '' && !hasControl(user))
      assert.ok(secret.length > 0 && ![0, 10, 13].some((octet) => secret.includes(octet)))
      assert.notEqual(secret.buffer, bytes.buffer, 'a copy, so that it can be wiped')
      const credentials = credentialsFor(user, secret, '', 512)
      assert.equal(credentials.isOk(), user.length + secret.length + 3 <= 512)
      if (credentials.isOk()) assert.equal(textOf(credentials.value), `${user}\0${textOf(secret)}\0\0`)
    }
    // RFC 4616 in one line, with what follows a third NUL left out.
    const [, authzid, authcid] = /^([^\0]*)\0([^\0]+)\0([^\0\r\n]+)(?:\0.*)?$/s.exec(text) ?? []
    assert.equal(plain.isOk(), authcid !== undefined && !hasControl(authcid) && (authzid === '' || authzid === authcid))
  },
)

const STATUS = [
  'ok ',
  'exit ',
  'signal ',
  'root',
  'timeout',
  'busy',
  'missing ',
  'bad ',
  '1',
  '1000',
  '42',
  ' ',
  '4294967295',
  '\r',
  '\0',
  '/bin/x: it is not there',
]
const KINDS: ReadonlySet<string> = new Set([
  'ok',
  'exit',
  'signal',
  'root',
  'timeout',
  'busy',
  'missing',
  'unreachable',
])
const status = pure(
  'helper-status',
  'a status line of the helper is one that it can write, or as good as none; a request carries what was asked, and nothing else',
  fc.record({
    line: octets(STATUS, 6),
    kind: fc.constantFrom<HelperKind>('auth', 'guest', 'certificate'),
    environment: fc.array(
      octets(['A', '=', 'b'], 4)
        .map((text) => text.replaceAll('\0', ''))
        .filter((text) => text !== ''),
      { maxLength: 4 },
    ),
    credentials: anyOctets(40),
  }),
  ({ line, kind, environment, credentials }) => {
    const told = parseStatus(line)
    assert.ok(KINDS.has(told.is))
    if (told.is === 'ok') {
      const { uid, gid, pid } = told.accepted
      assert.match(line, new RegExp(`^ok 0*${uid} 0*${gid} 0*${pid}$`))
    } else if (told.is === 'exit' || told.is === 'signal') assert.match(line, new RegExp(`^${told.is} 0*${told.code}$`))
    else if (told.is === 'missing') assert.equal(line, `missing ${told.text}`.slice(0, line.length))
    const request = encodeHelperRequest({
      kind,
      session: 's.1',
      chain: 'c',
      environment,
      credentials: bytesOf(credentials),
    })
    const rest = textOf(request.subarray(4))
    assert.equal(new DataView(request.buffer, request.byteOffset).getUint32(0), rest.length)
    assert.equal(rest, `${[kind, 's.1', 'c', ...environment, ''].join('\0')}\0${credentials}`)
  },
)

const WIRE = [
  '\\',
  '\\\\',
  '\\x',
  '\\x41',
  '\\*',
  '\xe2\x82\xac',
  '\xe2\x82',
  '\xf0\x9f\x98\x80',
  '\xed\xa0\x80',
  '\xc0\x80',
  '\xff',
  'a',
  '\x01',
]
const wire = pure(
  'rpc-octets',
  'octets shown on the wire are Unicode and mean themselves again',
  octets(WIRE, 12),
  (text) => {
    const shown = shownOctets(text)
    assert.equal(readOctets(shown), text)
    assert.equal(Buffer.from(shown, 'utf8').toString('utf8'), shown)
    assert.equal(textOf(concat([bytesOf(text)])), text)
  },
)

export const valueTargets = [base64, sasl, status, wire]
