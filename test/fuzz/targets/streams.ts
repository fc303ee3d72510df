// Readers of streams: the same whatever the reads are, and what a naive reading of the whole says.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { concat, textOf } from '../../../src/protocol/bytes.ts'
import { chunksStart, endOfChunks, stuffDots } from '../../../src/protocol/chunks.ts'
import { splitCommand, splitOctets } from '../../../src/protocol/command.ts'
import { type BareLineEnd, bodyStart, scanBody } from '../../../src/protocol/end-of-data.ts'
import { headerStart, watchHeader } from '../../../src/protocol/header-from.ts'
import { createLineEndSearch } from '../../../src/protocol/line-ends.ts'
import { emptyLines, takeLines } from '../../../src/protocol/lines.ts'
import { markLines, noReply, takeReplies } from '../../../src/protocol/replies.ts'
import { allows } from '../../../src/protocol/senders.ts'
import { newLineInput, takeLast, takeRead } from '../../../src/rpc/line-input.ts'
import { octets, pure, readsOf, sizes } from '../target.ts'

const LINES = ['\n', '\r\n', '\r', 'NOOP', 'a', ' ', 'x'.repeat(19), 'y'.repeat(25), '\0', '\xff']
const LIMIT = 20

const lines = pure(
  'lines',
  'lines over the limit are reported once each, the others are whole, in whatever reads they come',
  fc.record({ text: octets(LINES), sizes }),
  ({ text, sizes: cuts }) => {
    const parts = text.split(/(?<=\n)/)
    const rest = parts.length > 0 && !parts.at(-1)?.endsWith('\n') ? (parts.pop() ?? '') : ''
    const wanted = parts.map((line) => (line.length > LIMIT ? undefined : line))
    if (rest.length >= LIMIT) wanted.push(undefined)
    let buffer = emptyLines
    const got: (string | undefined)[] = []
    for (const read of readsOf(text, cuts)) {
      const taken = takeLines(buffer, read, LIMIT)
      got.push(...taken.lines.map((line) => (line.kind === 'line' ? line.text : undefined)))
      buffer = taken.buffer
      assert.ok(buffer.rest.length < LIMIT)
    }
    assert.deepEqual(got, wanted)
    assert.equal(textOf(buffer.rest), rest.length >= LIMIT ? '' : rest)
  },
)

const rpcLines = pure(
  'rpc-lines',
  'lines of a control socket are those between line feeds, in whatever reads they come',
  fc.record({ text: octets(['\n', '{}', '\r\n', '[', '\xe2\x82\xac', 'GET / HTTP/1.1']), sizes }),
  ({ text, sizes: cuts }) => {
    const input = newLineInput()
    const got = readsOf(text, cuts).flatMap((read) => takeRead(input, Buffer.from(read)) ?? assert.fail('too long'))
    got.push(...takeLast(input))
    const wanted = text.split('\n')
    if (wanted.at(-1) === '') wanted.pop()
    assert.deepEqual(
      got.map((line) => textOf(line)),
      wanted,
    )
  },
)

const command = pure(
  'command',
  'a command line is the same as text and as octets, and its plain spelling is plain and says the same',
  octets(['EHLO', 'auth', ' ', '\t', '\v', '\f', '\0', 'x', '=', '\r\n', '\r', '\n', '\xa0', '\xe9'], 10),
  (line) => {
    const split = splitCommand(line)
    const secret = splitOctets(Buffer.from(line, 'latin1'))
    assert.equal(textOf(secret.word).toUpperCase(), split.verb.toUpperCase())
    assert.equal(textOf(secret.argument), split.argument)
    assert.equal(textOf(secret.rest), split.rest)
    if (!secret.odd) assert.equal(split.plain, line)
    const again = splitCommand(split.plain)
    assert.deepEqual([again.verb, again.argument, again.plain], [split.verb, split.argument, split.plain])
    assert.ok(split.plain.length <= line.length + 1)
  },
)

const REPLIES = [
  '250 ',
  '250-',
  '250',
  '\r\n',
  '\n',
  '\r',
  'ok',
  '25',
  '354 go',
  'x'.repeat(60),
  '599',
  '\0',
  '250\r\n',
]
const REPLY_LIMIT = 120

const replies = pure(
  'replies',
  'a backend’s replies are the same in whatever reads they come, and bounded',
  fc.record({ text: octets(REPLIES), sizes }),
  ({ text, sizes: cuts }) => {
    const read = (reads: readonly Uint8Array[]) => {
      let buffer = noReply
      const all: string[] = []
      for (const chunk of reads) {
        const taken = takeReplies(buffer, chunk, REPLY_LIMIT)
        all.push(...taken.replies)
        if (taken.nonsense !== '') return { all, nonsense: true }
        buffer = taken.buffer
        assert.ok(buffer.text.length <= REPLY_LIMIT && buffer.line <= buffer.text.length)
      }
      return { all, nonsense: false }
    }
    const whole = read([Buffer.from(text, 'latin1')])
    assert.deepEqual(read(readsOf(text, cuts)), whole)
    for (const reply of whole.all) {
      assert.ok(text.includes(reply) && reply.length <= REPLY_LIMIT)
      const marked = markLines(reply)
      assert.equal(markLines(marked), marked)
      assert.equal(marked.split('\n').length, reply.split('\n').length)
    }
  },
)

const BODY = [
  '.',
  '..',
  '\r\n',
  '\r',
  '\n',
  '\r\n.\r\n',
  '\n.\n',
  '\r\n.\r',
  '\0',
  ' ',
  'text',
  '\r\n. \r\n',
  '\x8d\x8a',
]
const search = createLineEndSearch()

function scanned(reads: readonly Uint8Array[], bare: BareLineEnd) {
  let state = bodyStart
  const out: Uint8Array[] = []
  let from = 0
  let fault = 'none'
  for (const read of reads) {
    const taken = scanBody(state, read, bare, search)
    state = taken.state
    fault = taken.fault
    out.push(...taken.out.map((part) => Uint8Array.from(part)))
    if (taken.end !== undefined) return { out: textOf(concat(out)), end: from + taken.end, fault }
    from += read.length
  }
  return { out: textOf(concat(out)), end: undefined, fault }
}

const body = pure(
  'body',
  'a message ends at CR LF . CR LF and nowhere else, for us and for what gets it, in whatever reads it comes',
  fc.record({ text: octets(BODY), bare: fc.constantFrom('fix' as const, 'refuse' as const), sizes }),
  ({ text, bare, sizes: cuts }) => {
    const whole = scanned([Buffer.from(text, 'latin1')], bare)
    const split = scanned(readsOf(text, cuts), bare)
    assert.deepEqual([split.end, split.fault], [whole.end, whole.fault])
    // Of what is refused, only what was not known to be wrong has been sent on.
    if (whole.fault !== 'none') assert.ok(split.out.startsWith(whole.out) || whole.out.startsWith(split.out))
    else if (whole.end !== undefined) assert.equal(split.out, whole.out)
    const strict = `\r\n${text}`.indexOf('\r\n.\r\n')
    assert.equal(whole.end, strict < 0 ? undefined : strict + 3)
    for (const { out, end, fault } of [whole, split]) {
      const settled = out.replace(/\r$/, '')
      assert.doesNotMatch(settled, /\r(?!\n)|(?<!\r)\n/)
      const lone = `\r\n${out}`.search(/\n[.]\r\n/)
      if (end !== undefined && fault === 'none') assert.equal(lone + 4, out.length + 2)
      else assert.equal(lone, -1)
    }
  },
)

const chunks = pure(
  'chunks',
  'a message in BDAT chunks becomes one in DATA, with each dot that begins a line doubled, and ends where its chunks do',
  fc.record({ text: octets(BODY), sizes }),
  ({ text, sizes: cuts }) => {
    let state = chunksStart
    const out: Uint8Array[] = []
    for (const read of readsOf(text, cuts)) {
      const stuffed = stuffDots(state, read)
      state = stuffed.state
      out.push(stuffed.out)
    }
    const stuffed = textOf(concat(out))
    assert.equal(stuffed, `\r\n${text}`.replaceAll('\r\n.', '\r\n..').slice(2))
    const whole = `${stuffed}${endOfChunks(state).map(textOf).join('')}`
    assert.equal(scanned([Buffer.from(whole, 'latin1')], 'fix').end, whole.length)
  },
)

const HEADER = [
  'From',
  'from',
  'FROM:',
  ':',
  ' ',
  '\t',
  'ann@a.b',
  '<ann@a.b>',
  'eve@a.b',
  '<eve@a.b>',
  '"',
  '(',
  ')',
  ',',
  ';',
  '\\',
]
const MORE_HEADER = [
  '\r\n',
  '\r\n ',
  '\r\n\t',
  '.',
  '..',
  'Subject: x\r\n',
  '\xc6rom:',
  'From : ',
  'From: ann@a.b\r\n',
  '@',
  'ann',
]
const SENDERS = ['ann@a.b', '*@all.example']

/** The fields that are over, unfolded, of the whole text. */
function fieldsOf(text: string): readonly string[] {
  const fields: string[] = []
  const parts = text.split('\r\n')
  for (const [n, part] of parts.entries()) {
    const line = part.startsWith('.') ? part.slice(1) : part
    const last = n === parts.length - 1
    // Nothing is known about a line that has not begun.
    if (last && line === '') return fields.slice(0, -1)
    if (/^[ \t]/.test(line)) {
      if (fields.length > 0) fields[fields.length - 1] += `\r${line}`
    } else if (line === '') return fields
    else fields.push(line)
  }
  return fields.slice(0, -1)
}

const seven = (text: string): string =>
  text.replace(/[\x80-\xff]/g, (octet) => String.fromCharCode(octet.charCodeAt(0) & 127))

const senderField = (field: string): string | undefined => {
  const [first = ''] = field.split('\r')
  const name = /^from[ \t]*:/i.exec(seven(first))?.[0]
  return name === undefined ? undefined : field.slice(name.length)
}

/** A From field that names somebody else, however it is read; quotes and comments may hide one. */
function isOthers(field: string): boolean {
  const value = senderField(field)
  if (value === undefined) return false
  const named = value.match(/[^\s<>()"\\,;:@[\]]+@[^\s<>()"\\,;:@[\]]+/g) ?? []
  if (!named.some((address) => allows(SENDERS, address))) return true
  return !/["()\\]/.test(value) && !named.every((address) => allows(SENDERS, address))
}

const header = pure(
  'header-from',
  'the From line is judged the same in whatever reads it comes, and what names another sender does not pass',
  fc.record({
    text: octets([...HEADER, ...MORE_HEADER], 14).map((text) => text.replace(/\r\n|\r|\n/g, '\r\n')),
    sizes,
  }),
  ({ text, sizes: cuts }) => {
    const whole = watchHeader(headerStart, Buffer.from(text, 'latin1'), SENDERS)
    let state = headerStart
    for (const read of readsOf(text, cuts)) state = watchHeader(state, read, SENDERS)
    assert.deepEqual(state, whole)
    const from = fieldsOf(text).filter((field) => senderField(field) !== undefined)
    if (from.some(isOthers)) assert.equal(whole.at, 'forged')
    if (from.every((field) => /^\s*(?:ann@a\.b|[^<>()"\\,;:@[\]]*<ann@a\.b>)\s*$/.test(senderField(field) ?? '')))
      assert.notEqual(whole.at, 'forged')
  },
)

export const streamTargets = [lines, rpcLines, command, replies, body, chunks, header]
