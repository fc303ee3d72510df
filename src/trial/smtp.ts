// SMTP after a login (RFC 5321, RFC 6409): every message is filed in the user's own Maildir, no matter who its recipients are.

import { bytesOf } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import { bodyStart, scanBody } from '../protocol/end-of-data.ts'
import { createLineEndSearch } from '../protocol/line-ends.ts'
import { unstuff } from './dots.ts'
import { Delivery } from './maildir.ts'
import type { Wire } from './wire.ts'

/** Octets of a command line: 512, and room for the parameters of extensions (RFC 5321 4.5.3.1.4). */
const LINE = 2048
/** RFC 5321 4.5.3.1.8 asks for 100 at least. */
const RECIPIENTS = 1000

export interface SmtpSettings {
  readonly maildir: string
  readonly host: string
  readonly user: string
  /** The client's address. */
  readonly ip: string
  /** Its connection has TLS. */
  readonly tls: boolean
  /** Octets of a message. */
  readonly most: number
}

interface State {
  readonly helo: string
  /** Without the angle brackets; undefined: no transaction. */
  readonly sender: string | undefined
  readonly recipients: readonly string[]
}

interface Step {
  readonly reply: string
  readonly state: State
  readonly next?: 'data' | 'quit'
}

type Verb = (argument: string, state: State, settings: SmtpSettings) => Step

const NO_TRANSACTION = { sender: undefined, recipients: [] } as const

const VERBS: Readonly<Record<string, Verb>> = {
  EHLO: (argument, state, { host, most }) =>
    argument === ''
      ? { reply: '501 5.5.4 EHLO needs a name', state }
      : {
          reply: [host, 'PIPELINING', '8BITMIME', `SIZE ${most}`, 'ENHANCEDSTATUSCODES']
            .map((text, i, all) => `250${i + 1 < all.length ? '-' : ' '}${text}`)
            .join('\r\n'),
          state: { helo: argument, ...NO_TRANSACTION },
        },
  HELO: (argument, state, { host }) =>
    argument === ''
      ? { reply: '501 5.5.4 HELO needs a name', state }
      : { reply: `250 ${host}`, state: { helo: argument, ...NO_TRANSACTION } },
  MAIL: (argument, state, { most }) => {
    if (state.sender !== undefined) return { reply: '503 5.5.1 one sender a message', state }
    const path = parsePath(/^FROM: ?/i, argument)
    if (path === undefined) return { reply: '501 5.1.7 write MAIL FROM:<address>', state }
    for (const parameter of path.parameters) {
      const [, name = '', value = ''] = /^([^=]*)=?(.*)$/.exec(parameter) ?? []
      const size = name.toUpperCase() === 'SIZE' && /^\d{1,20}$/.test(value)
      const body = name.toUpperCase() === 'BODY' && /^(7BIT|8BITMIME)$/i.test(value)
      // RFC 4954 section 5: a client that logged in may say for whom it submits.
      const auth = name.toUpperCase() === 'AUTH' && value !== ''
      if (!size && !body && !auth) return { reply: '555 5.5.4 parameter not known', state }
      if (size && Number(value) > most) return { reply: '552 5.3.4 message too big', state }
    }
    return { reply: '250 2.1.0 ok', state: { ...state, sender: path.address, recipients: [] } }
  },
  RCPT: (argument, state) => {
    if (state.sender === undefined) return { reply: '503 5.5.1 MAIL first', state }
    const path = parsePath(/^TO: ?/i, argument)
    if (path === undefined || path.address === '') return { reply: '501 5.1.3 write RCPT TO:<address>', state }
    if (path.parameters.length > 0) return { reply: '555 5.5.4 parameter not known', state }
    if (state.recipients.length === RECIPIENTS) return { reply: '452 4.5.3 too many recipients', state }
    return { reply: '250 2.1.5 ok', state: { ...state, recipients: [...state.recipients, path.address] } }
  },
  DATA: (argument, state) => {
    if (argument !== '') return { reply: '501 5.5.4 DATA stands alone', state }
    if (state.sender === undefined) return { reply: '503 5.5.1 MAIL first', state }
    if (state.recipients.length === 0) return { reply: '503 5.5.1 RCPT first', state }
    return { reply: '354 go ahead', state, next: 'data' }
  },
  RSET: (argument, state) =>
    argument === ''
      ? { reply: '250 2.0.0 flushed', state: { ...state, ...NO_TRANSACTION } }
      : { reply: '501 5.5.4 RSET stands alone', state },
  NOOP: (_argument, state) => ({ reply: '250 2.0.0 ok', state }),
  VRFY: (_argument, state) => ({ reply: '252 2.1.5 send some mail and see', state }),
  HELP: (_argument, state) => ({ reply: '214 2.0.0 https://www.rfc-editor.org/rfc/rfc5321', state }),
  QUIT: (argument, state, { host }) =>
    argument === '' ? { reply: `221 ${host}`, state, next: 'quit' } : { reply: '501 5.5.4 QUIT stands alone', state },
}

/** `FROM:<address> PARAMETER ...`; a source route is left out (RFC 5321 appendix C: "MUST be accepted, SHOULD be ignored"). */
function parsePath(
  keyword: RegExp,
  argument: string,
): { readonly address: string; readonly parameters: readonly string[] } | undefined {
  const found = keyword.exec(argument)
  if (found === null) return undefined
  const path =
    /^<(?:@[!-9;=?-~]+:)?((?:"(?:[ !#-[\]-~\x80-\xff]|\\[ -~])*"|[!#-;=?-~\x80-\xff])*)>(?: ([ -~]*))?$/.exec(
      argument.slice(found[0].length),
    )
  if (path === null) return undefined
  return { address: path[1] ?? '', parameters: (path[2] ?? '').split(' ').filter((word) => word !== '') }
}

export function serveSmtp(wire: Wire, settings: SmtpSettings): void {
  let state: State = { helo: '', ...NO_TRANSACTION }
  wire.say(`220 ${settings.host} ESMTP\r\n`)
  for (;;) {
    const line = wire.line(LINE)
    if (line === undefined) return
    if (line.kind === 'too-long') {
      wire.say('500 5.5.2 line too long\r\n')
      continue
    }
    const { verb, argument } = splitCommand(line.text)
    const row = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined
    if (row === undefined) {
      wire.say('500 5.5.2 command not known\r\n')
      continue
    }
    const step = row(argument, state, settings)
    wire.say(`${step.reply}\r\n`)
    state = step.state
    if (step.next === 'quit') {
      wire.flush()
      return
    }
    if (step.next !== 'data') continue
    const reply = takeMessage(wire, state, settings)
    if (reply === undefined) return
    wire.say(`${reply}\r\n`)
    state = { ...state, ...NO_TRANSACTION }
  }
}

/** The reply to a message; undefined if the client went away in it, and then nothing is filed. */
function takeMessage(wire: Wire, envelope: State, settings: SmtpSettings): string | undefined {
  let trouble: string | undefined
  let delivery: Delivery | undefined
  const attempt = (step: () => void): void => {
    try {
      if (trouble === undefined) step()
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      process.stderr.write(`acceptd-maildir: ${message}\n`)
      trouble = /^(ENOSPC|EDQUOT|EFBIG)$/.test(code)
        ? '452 4.3.1 no room for this message'
        : '451 4.3.0 cannot be filed'
    }
  }
  attempt(() => {
    delivery = new Delivery(settings.maildir)
    delivery.write(bytesOf(trace(envelope, settings)))
  })
  const search = createLineEndSearch()
  let body = bodyStart
  let lineStart = true
  let size = 0
  for (;;) {
    const bytes = wire.bytes()
    if (bytes === undefined) {
      delivery?.abandon()
      return undefined
    }
    const scanned = scanBody(body, bytes, 'fix', search)
    body = scanned.state
    scanned.out.forEach((part, i) => {
      const plain = unstuff(part, lineStart)
      lineStart = plain.lineStart
      // The LF of the line of one dot is the last byte of all.
      const last = scanned.end !== undefined && i + 1 === scanned.out.length
      const kept = last ? plain.bytes.subarray(0, -1) : plain.bytes
      size += kept.length
      if (size > settings.most) trouble ??= '552 5.3.4 message too big'
      attempt(() => delivery?.write(kept))
    })
    if (scanned.end === undefined) continue
    wire.unread(bytes.subarray(scanned.end))
    let name = ''
    attempt(() => {
      name = delivery?.commit() ?? ''
    })
    if (trouble !== undefined) delivery?.abandon()
    return trouble ?? `250 2.0.0 filed as ${name}`
  }
}

/** What a delivery adds on top (RFC 5321 4.4, RFC 3848); the recipients too, since all of them end in this one file. */
function trace({ helo, sender, recipients }: State, { user, host, ip, tls }: SmtpSettings): string {
  const date = new Date().toUTCString().replace('GMT', '+0000')
  const clean = (text: string): string => text.replace(/[^!-'*-[\]-~]/g, '?').slice(0, 255)
  return [
    `Return-Path: <${sender}>`,
    ...recipients.map((address) => `Envelope-To: ${address}`),
    `Received: from ${clean(helo) || 'unknown'} ([${clean(ip)}]) (authenticated as ${clean(user)})`,
    `  by ${clean(host)} with ESMTP${tls ? 'S' : ''}A; ${date}`,
    '',
  ].join('\n')
}
