// Whole sessions: what both sides get is well formed, bounded, and the same whatever the reads are.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import { inlineWorld } from '../../support/inline.ts'
import { acceptingLane, endWorker, type Lane, until } from '../../support/lane.ts'
import { miniBackend } from '../../support/mini-backend.ts'
import { makePair, materialOf, namedPair, tlsTexts } from '../../support/tls.ts'
import { parseTranscripts } from '../../support/transcript.ts'
import { inPieces, octets, opened, pure, sizes } from '../target.ts'

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')
const LOGIN = `AUTH PLAIN ${base64('\0me\0secret')}\r\n`

interface Conversation {
  readonly options: string
  readonly said: string
  readonly client: readonly number[]
  readonly backend: readonly number[]
}

/** Says one line for each line: +OK, whatever it is. One that closed would cut the client off at a place that depends on its reads. */
function pop3Backend() {
  let rest = ''
  return {
    begin: () => '+OK backend\r\n',
    take: (text: string): string => {
      rest += text
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      return lines.map(() => '+OK said\r\n').join('')
    },
  }
}

function converse({ options, said, client, backend }: Conversation) {
  const [made] = parseTranscripts(`# made up\nwith: ${options}`, '')
  assert.ok(made !== undefined)
  const world = inlineWorld(made.settings)
  const programs = new Map<unknown, ReturnType<typeof pop3Backend>>()
  const read = new Map<unknown, number>()
  let answered = 0
  const turn = () => {
    for (let more = true; more; ) {
      void world.go(false)
      more = false
      const asked = world.askedOfHelper()
      if (asked.length > answered) {
        answered += 1
        const text = asked[answered - 1] ?? ''
        const before = world.backend()
        world.answerOfHelper(text === 'guest' || text.endsWith(' secret') ? 'ok 1000 1000 42' : 'exit 1')
        const stream = world.backend()
        if (stream !== undefined && stream !== before) {
          const program = made.settings.protocol === 'pop3' ? pop3Backend() : miniBackend(!options.includes('CHUNKING'))
          programs.set(stream, program)
          read.set(stream, 0)
          for (const piece of inPieces(program.begin(), backend)) stream.send(piece)
        }
        more = true
        continue
      }
      const stream = world.backend()
      const heard = stream?.heard() ?? ''
      if (stream === undefined || heard.length === read.get(stream)) continue
      const replies = programs.get(stream)?.take(heard.slice(read.get(stream))) ?? ''
      read.set(stream, heard.length)
      for (const piece of inPieces(replies, backend)) stream.send(piece)
      if (replies.includes('221 bye') || stream.closed()) stream.close()
      more = true
    }
  }
  turn()
  for (const piece of inPieces(said, client)) {
    if (world.ended() !== undefined) break
    world.client.send(piece)
    turn()
  }
  const open = world.ended() === undefined
  world.client.close()
  turn()
  world.backend()?.close()
  turn()
  return {
    client: world.client.heard(),
    backend: world.backend()?.heard() ?? '',
    asked: [...world.askedOfHelper()],
    open,
  }
}

const conversation = (options: readonly string[], pieces: readonly string[]) =>
  fc.record({ options: fc.constantFrom(...options), said: octets(pieces, 24), client: sizes, backend: sizes })

function same(given: Conversation, line: RegExp): void {
  const whole = converse({ ...given, client: [1_000_000], backend: [1_000_000] })
  const split = converse(given)
  // Of a refused message, only what was not known to be wrong has been sent on.
  if (given.options === 'bare=refuse' && split.backend.startsWith(whole.backend)) whole.backend = split.backend
  assert.deepEqual(split, whole)
  for (const one of whole.client.split(/(?<=\n)/)) if (one !== '') assert.match(one, line)
  assert.ok(whole.client.length <= 4096 + 600 * (given.said.length + 1))
  assert.ok(whole.backend.length <= 4096 + 20 * (given.said.length + 1))
}

const SMTP = [
  'EHLO me\r\n',
  'HELO me\r\n',
  'NOOP\r\n',
  'RSET\r\n',
  'QUIT\r\n',
  'HELP\r\n',
  'VRFY x\r\n',
  'STARTTLS\r\n',
  'XCLIENT NAME=a\r\n',

  'MAIL FROM:<a@b>\r\n',
  'RCPT TO:<c@d>\r\n',
  'DATA\r\n',
  '.\r\n',
  'text\r\n',
  '\r\n.\r\n',
  'BDAT 3\r\n',
  'BDAT 0 LAST\r\n',
  'abc',

  LOGIN,
  LOGIN,
  'AUTH LOGIN\r\n',
  `${base64('me')}\r\n`,
  `${base64('secret')}\r\n`,
  '*\r\n',
  'AUTH PLAIN\r\n',
  'AUTH PLAIN =\r\n',

  `AUTH PLAIN ${base64('\0me\0wrong')}\r\n`,
  'AUTH CRAM-MD5\r\n',
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\xff',
  'x'.repeat(520),
]
const smtp = pure(
  'smtp',
  'an SMTP session, before and after login, is the same in whatever reads it comes; replies are well formed and bounded',
  conversation(
    [
      'bare=fix',
      'bare=refuse',
      'tries=1',
      'guest',
      'enhanced',
      'from=a@b',
      'mechanisms=PLAIN,CRAM-MD5',
      'offer CHUNKING',
    ],
    SMTP,
  ),
  (given) => same(given, /^\d{3}[ -][^\r\n]*\r\n$/),
)

const POP3 = [
  'USER me\r\n',
  'PASS secret\r\n',
  'PASS wrong\r\n',
  'CAPA\r\n',
  'NOOP\r\n',
  'QUIT\r\n',
  'STLS\r\n',
  'STAT\r\n',
  'RETR 1\r\n',
  'USER\r\n',

  `AUTH PLAIN ${base64('\0me\0secret')}\r\n`,
  'AUTH\r\n',
  'AUTH LOGIN\r\n',
  `${base64('me')}\r\n`,
  `${base64('secret')}\r\n`,
  '*\r\n',
  `APOP me ${'0'.repeat(32)}\r\n`,
  'APOP me\r\n',
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\0',
  '\xff',
  'x'.repeat(300),
]
const pop3 = pure(
  'pop3',
  'a POP3 session, before and after login, is the same in whatever reads it comes; answers are well formed and bounded',
  conversation(['pop3', 'pop3 apop', 'pop3 tries=3', 'pop3 mechanisms=PLAIN,CRAM-MD5'], POP3),
  (given) => same(given, /^[^\r\n]*\r\n$/),
)

// ---- TLS

const BEFORE = {
  smtp: ['EHLO me\r\n', 'NOOP\r\n', 'RSET\r\n', 'MAIL FROM:<a@b>\r\n', 'HELP\r\n'],
  pop3: ['USER me\r\n', 'NOOP\r\n', 'CAPA\r\n', 'STAT\r\n'],
}
const INSIDE = {
  smtp: ['NOOP\r\n', 'EHLO me\r\n', 'MAIL FROM:<a@b>\r\n', 'x\r\n'],
  pop3: ['PASS secret\r\n', 'CAPA\r\n', 'NOOP\r\n'],
}
const BEGIN = {
  smtp: ['STARTTLS\r\n', 'starttls\r\n', ' STARTTLS\r\n', 'STARTTLS \r\n', 'STARTTLS\n'],
  pop3: ['STLS\r\n', 'stls\r\n', 'STLS\n'],
}
const list = (from: readonly string[]) =>
  fc.array(fc.constantFrom(...from), { maxLength: 3 }).map((parts) => parts.join(''))
const edges = (protocol: 'smtp' | 'pop3') =>
  fc.record({
    protocol: fc.constant(protocol),
    before: list(BEFORE[protocol]),
    begin: fc.constantFrom(...BEGIN[protocol]),
    how: fc.constantFrom('inject' as const, 'garbage' as const, 'tls' as const),
    octets: octets(['NOOP\r\n', LOGIN, '\x16\x03\x01', '\r\n', '\n', 'x', '\0', '\x16\x03\x01\0\x05\x01'], 5).filter(
      (text) => text !== '',
    ),
    inside: list(INSIDE[protocol]),
  })

/** All that a socket says until it closes, or its other end says `last`. */
function listen(socket: Socket): { readonly text: () => string; readonly closed: () => boolean } {
  let text = ''
  let closed = false
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1')
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    closed = true
  })
  return { text: () => text, closed: () => closed }
}

const READY = /(?:220 [^\r]*Ready to start TLS[^\r]*|\+OK starting TLS negotiation)\r\n$/

/** What the session says in TLS to these commands and QUIT. */
async function inTls(lane: Lane, before: string, begin: string, inside: string): Promise<string> {
  const socket = connect({ port: lane.port, host: '127.0.0.1' })
  const plain = listen(socket)
  await until('the greeting', () => plain.text().endsWith('\r\n'))
  socket.write(Buffer.from(before + begin, 'latin1'))
  await until('the word to begin TLS', () => READY.test(plain.text()))
  socket.removeAllListeners('data')
  const secured = connectTls({ socket, rejectUnauthorized: false })
  const heard = listen(secured)
  secured.write(`${inside}QUIT\r\n`)
  await until('the end', () => heard.closed())
  socket.destroy()
  return heard.text()
}

const tlsEdges = opened(
  'tls-edges',
  'nothing that came before TLS counts in it: octets behind STARTTLS end the session, and what was said before is forgotten',
  fc.oneof(edges('smtp'), edges('pop3')),
  async ({ after }) => {
    const folder = mkdtempSync(join(tmpdir(), 'acceptd-fuzz-tls-'))
    after(() => rmSync(folder, { recursive: true }))
    after(() => endWorker())
    const tls = materialOf(namedPair(['mx.example'], makePair(folder, 'mx.example')))
    const lanes = {
      smtp: await acceptingLane({ after }, tlsTexts('smtp submission tls=offer tries=5'), { tls }),
      pop3: await acceptingLane({ after }, tlsTexts('pop3 submission tls=offer'), { tls }),
    }
    return async ({ protocol, before, begin, how, octets: more, inside }) => {
      const lane = lanes[protocol]
      if (how === 'tls') {
        assert.equal(await inTls(lane, before, begin, inside), await inTls(lane, '', begin, inside))
        assert.equal(lane.helper.asked.length, 0)
        return
      }
      const socket = connect({ port: lane.port, host: '127.0.0.1' })
      const heard = listen(socket)
      await until('the greeting', () => heard.text().endsWith('\r\n'))
      socket.write(Buffer.from(before + begin + (how === 'inject' ? more : ''), 'latin1'))
      if (how === 'garbage') {
        await until('the word to begin TLS', () => READY.test(heard.text()))
        socket.end(Buffer.from(more, 'latin1'))
      }
      const at = (): string => heard.text().slice(heard.text().search(/220 [^\r]*Ready|\+OK starting/))
      await until('the end', () => heard.closed())
      // A TLS alert may follow, and nothing else.
      const [, alert = ''] = /^[^\r]*\r\n(.*)$/s.exec(at()) ?? []
      assert.ok(alert === '' || alert.startsWith('\x15'), alert)
      assert.equal(lane.helper.asked.length, 0)
    }
  },
)

export const conversationTargets = [smtp, pop3, tlsEdges]
