// Conversations as a mail person reads them, and their player. A world is what they are played on: actors in line, or a real lane.
//
//   # a sentence: the next transcript begins
//   with: tries=2 guest                 settings of the listener, see Settings
//   C> EHLO me                          the client sends; lines in a row are one write
//   S: 250 mx.example                   what the client must receive next
//   B< MAIL FROM:<a@b>                  what the backend must receive next
//   B> 250 ok                           the backend says; lines in a row are one write
//   H< auth me secret                   the helper is asked: kind, user, password; H< guest
//   H> ok 1000 1000 42                  its status line; H> (closes): it goes away without one
//   .. 50ms                             time passes; `.. shutdown`: the daemon has to stop
//
// Each line ends with CR LF unless it ends with an escaped one (\r \n \t \\ \xHH) or with (no newline). {x*600} is 600 times x,
// {base64 a\0b} is its base64, {any} means any text in what is heard. (closes), (resets) and (closed) instead of a text.

import { readFileSync } from 'node:fs'
import type { CheckedMechanism } from '../../src/protocol/sasl.ts'

export interface Step {
  readonly line: number
  readonly who: 'C>' | 'S:' | 'B<' | 'B>' | 'H<' | 'H>' | '..'
  readonly text: string
}

export interface Settings {
  readonly protocol: 'smtp' | 'pop3'
  readonly tries: number
  readonly guest: boolean
  readonly bare: 'fix' | 'refuse'
  readonly apop: boolean
  /** Of the chain: `with: mechanisms=PLAIN,CRAM-MD5`; none: PLAIN and LOGIN. */
  readonly mechanisms: readonly CheckedMechanism[]
  /** Octets that checkpassword reads. */
  readonly credentials: number
  readonly broken: boolean
  /** EHLO promises ENHANCEDSTATUSCODES. */
  readonly enhanced: boolean
  /** What EHLO offers besides 8BITMIME: `with: offer SIZE 1000`. */
  readonly offers: readonly string[]
  /** The only address that anybody may use, in MAIL and From; empty: any. */
  readonly from: string
  /** control/xclient. */
  readonly tells: boolean
  /** The client is one of xclient=. */
  readonly trusted: boolean
  /** Seconds. */
  readonly timeout: number
  /** Lines of control/fixsmtpio after the recommended ones. */
  readonly rules: string
}

export interface Transcript {
  readonly title: string
  readonly file: string
  readonly settings: Settings
  readonly steps: readonly Step[]
}

/** What was asked of the helper: `auth me secret`, `guest`. */
export interface World {
  readonly client: End
  /** The newest one. */
  readonly backend: () => End | undefined
  readonly askedOfHelper: () => readonly string[]
  readonly answerOfHelper: (line: string | undefined) => void
  /** Lets everything happen that can; then, if `wait` is true, waits for what takes time. False: nothing more will happen. */
  readonly go: (wait: boolean) => boolean | Promise<boolean>
  readonly time: (milliseconds: number) => void | Promise<void>
  readonly shutdown: () => void | Promise<void>
  /** Both peers disconnect; returns what is left, or nothing. */
  readonly end: () => string | Promise<string>
}

/** One end of a stream, seen from outside. */
export interface End {
  readonly send: (text: string) => void
  readonly close: () => void
  readonly reset: () => void
  /** Latin1, everything so far. */
  readonly heard: () => string
  /** The other side will say nothing more. */
  readonly closed: () => boolean
}

const OPTIONS: Settings = {
  protocol: 'smtp',
  tries: 5,
  guest: false,
  bare: 'fix',
  apop: false,
  mechanisms: [],
  credentials: 512,
  broken: false,
  enhanced: false,
  offers: [],
  from: '',
  tells: false,
  trusted: false,
  timeout: 1200,
  rules: '',
}

/** What EHLO says before login. */
export const capabilitiesOf = ({ enhanced, offers }: Settings): readonly string[] => [
  '8BITMIME',
  ...(enhanced ? ['EnhancedStatusCodes'] : []),
  ...offers,
]

const FLAGS = ['guest', 'apop', 'broken', 'enhanced', 'tells', 'trusted'] as const
const isFlag = (name: string): name is (typeof FLAGS)[number] => FLAGS.some((flag) => flag === name)

function settingsOf(text: string, before: Settings): Settings {
  const rule = /^rule (.*)$/.exec(text)?.[1]
  if (rule !== undefined) return { ...before, rules: `${before.rules}${rule}\n` }
  const offer = /^offer (.*)$/.exec(text)?.[1]
  if (offer !== undefined) return { ...before, offers: [...before.offers, offer] }
  let settings = before
  for (const word of text.split(' ')) {
    const [name = '', value = ''] = word.split('=')
    if (name === 'pop3') settings = { ...settings, protocol: 'pop3', tries: 1 }
    else if (isFlag(name)) settings = { ...settings, [name]: true }
    else if (name === 'tries' || name === 'timeout' || name === 'credentials')
      settings = { ...settings, [name]: Number(value) }
    else if (name === 'mechanisms')
      settings = { ...settings, mechanisms: value.split(',') as readonly CheckedMechanism[] }
    else if (name === 'from') settings = { ...settings, from: value }
    else if (name === 'bare' && (value === 'fix' || value === 'refuse')) settings = { ...settings, bare: value }
    else throw new Error(`a transcript has no setting \`${word}\``)
  }
  return settings
}

const unescaped = (text: string): string =>
  text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_all, hex?: string, letter?: string) =>
    hex !== undefined
      ? String.fromCharCode(Number.parseInt(hex, 16))
      : ({ r: '\r', n: '\n', t: '\t', 0: '\0' }[letter ?? ''] ?? letter ?? ''),
  )

const textMeant = (text: string): string =>
  unescaped(text)
    .replace(/\{base64 ([^}]*)\}/g, (_all, inner: string) => Buffer.from(inner, 'latin1').toString('base64'))
    .replace(/\{([^}*]+)\*(\d+)\}/g, (_all, unit: string, times: string) => unit.repeat(Number(times)))

/** The bytes that a line of a transcript means, as latin1 text. */
function bytesMeant(text: string): string {
  const open = text.replace(/ *\(no newline\)$/, '')
  const ends = open !== text || open.endsWith('\\n')
  const meant = textMeant(open)
  return ends ? meant : `${meant}\r\n`
}

export function parseTranscripts(text: string, file: string): readonly Transcript[] {
  const found: { title: string; file: string; settings: Settings; steps: Step[] }[] = []
  text.split('\n').forEach((raw, i) => {
    if (raw === '') return
    const title = /^# (.*)$/.exec(raw)?.[1]
    if (title !== undefined) {
      found.push({ title, file, settings: OPTIONS, steps: [] })
      return
    }
    const current = found.at(-1)
    if (current === undefined) throw new Error(`${file}:${i + 1}: a transcript begins with # and a sentence`)
    const settings = /^with: (.*)$/.exec(raw)?.[1]
    const step = /^(C>|S:|B<|B>|H<|H>|\.\.) ?(.*)$/.exec(raw)
    if (settings !== undefined) current.settings = settingsOf(settings, current.settings)
    else if (step !== null) current.steps.push({ line: i + 1, who: step[1] as Step['who'], text: step[2] ?? '' })
    else throw new Error(`${file}:${i + 1}: neither a step nor a comment: ${raw}`)
  })
  return found
}

export const readTranscripts = (file: string): readonly Transcript[] =>
  parseTranscripts(readFileSync(file, 'utf8'), file)

/** How a side's bytes come in: one read each. */
export type Split = (text: string) => readonly string[]
export const whole: Split = (text) => [text]
/** Very long text in pieces, to save time. */
export const byteByByte: Split = (text) => text.match(text.length > 5000 ? /.{1,97}/gs : /./gs) ?? []

const shown = (text: string): string => JSON.stringify(text).slice(1, -1)

/** Plays one transcript; throws with file, line and both sides where it differs. */
export async function play(transcript: Transcript, world: World, split: Split = whole): Promise<void> {
  const { steps, file } = transcript
  const heard = { 'S:': 0, 'B<': 0, 'H<': 0 }
  let backend = world.backend()
  let line = 0

  const fail = (problem: string): never => {
    const left = world.client.heard().slice(heard['S:'])
    const got = (backend?.heard() ?? '').slice(heard['B<'])
    throw new Error(
      `${file}:${line}: ${problem}\n  the client heard further: ${shown(left)}\n  the backend got further: ${shown(got)}\n  of the helper was asked: ${world.askedOfHelper().slice(heard['H<']).map(shown).join('; ')}`,
    )
  }
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (;;) {
      if (holds()) return
      if (!(await world.go(!holds()))) break
    }
    if (!holds()) fail(`waited in vain for ${what}`)
  }
  /** Takes what was expected from the front of a stream. */
  const hear = async (who: 'S:' | 'B<', end: End, text: string): Promise<void> => {
    const wanted = bytesMeant(text)
    const pattern = new RegExp(
      `^${wanted
        .split('{any}')
        .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('[^\\r\\n]*')}`,
    )
    await until(shown(wanted), () => {
      const rest = end.heard().slice(heard[who])
      const match = pattern.exec(rest)
      if (match === null) {
        // Text that has arrived and differs will not become right.
        if (!text.includes('{any}') && !wanted.startsWith(rest.slice(0, wanted.length))) fail(`not ${shown(wanted)}`)
        return false
      }
      heard[who] += match[0].length
      return true
    })
  }
  const say = async (end: End, text: string): Promise<void> => {
    for (const piece of split(text)) {
      end.send(piece)
      await world.go(false)
    }
  }
  const nothingElse = () => {
    if (world.client.heard().length > heard['S:']) fail('the client heard more')
    if ((backend?.heard().length ?? 0) > heard['B<']) fail('the backend got more')
    if (world.askedOfHelper().length > heard['H<']) fail('the helper was asked more')
  }

  await world.go(false)
  for (let i = 0; i < steps.length; i += 1) {
    const { who, text, line: at } = steps[i] as Step
    line = at
    if (world.backend() !== backend) {
      backend = world.backend()
      heard['B<'] = 0
    }
    const peer = who === 'C>' || who === 'S:' ? world.client : backend
    if (who === '..') {
      const milliseconds = /^(\d+)ms$/.exec(text)?.[1]
      if (text === 'shutdown') await world.shutdown()
      else if (milliseconds !== undefined) await world.time(Number(milliseconds))
      else fail(`what is \`${text}\`?`)
      await world.go(false)
    } else if (who === 'H<') {
      await until(`the helper to be asked: ${text}`, () => world.askedOfHelper().length > heard['H<'])
      const asked = world.askedOfHelper()[heard['H<']] ?? ''
      if (asked !== textMeant(text)) fail(`the helper was asked ${shown(asked)}`)
      heard['H<'] += 1
    } else if (who === 'H>') {
      world.answerOfHelper(text === '(closes)' ? undefined : text)
      if (text.startsWith('ok ')) await until('the backend', () => world.backend() !== backend)
      await world.go(false)
    } else if (peer === undefined) fail('there is no backend yet')
    else if (who === 'S:' || who === 'B<') {
      if (text === '(closed)') {
        await until(`${who} to be closed`, () => peer.closed())
        const left = peer.heard().slice(heard[who])
        if (left !== '') fail(`closed, and before that was said: ${shown(left)}`)
      } else await hear(who, peer, text)
    } else if (text === '(closes)') {
      peer.close()
      await world.go(false)
    } else if (text === '(resets)') {
      peer.reset()
      await world.go(false)
    } else {
      let bytes = bytesMeant(text)
      for (let next = steps[i + 1]; next?.who === who && !next.text.startsWith('('); next = steps[i + 1]) {
        bytes += bytesMeant(next.text)
        i += 1
      }
      await say(peer, bytes)
    }
  }
  await world.go(false)
  nothingElse()
  const left = await world.end()
  if (left !== '') fail(left)
  nothingElse()
}
