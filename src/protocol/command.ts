// One way to read a command line, before login and after it: whatever a mail program after us would take for a verb is that verb.
//
// Postfix skips white space before the verb and ends it at any, Exim drops white space at the end of the line, qmail and msmtpd end
// the verb at a space, and in a C string everything ends at NUL. A line that they could read differently goes on as `plain`.

export interface Command {
  /** In ASCII upper case. */
  readonly verb: string
  /** What follows the verb, without blanks around it. */
  readonly argument: string
  /** Everything between the one octet that ends the verb and the line ending: a password may begin and end with blanks. */
  readonly rest: string
  /** The line itself, or, if it is oddly spelt: the verb, a space, the argument and its own line ending. */
  readonly plain: string
}

const SPACE = 32

/** isspace(3) of the C locale, and NUL, which ends the verb for what reads a C string. */
const isBlank = (code: number): boolean => code === SPACE || (code >= 9 && code <= 13) || code === 0

const isWhite = (code: number): boolean => isBlank(code) && code !== 0

/** Where the parts of a line are: the verb from `begin` to `stop`, the argument from `from` to `to`; the line ending begins at `end`. */
interface Spans {
  readonly begin: number
  readonly stop: number
  readonly from: number
  readonly to: number
  readonly end: number
}

/** One reading for text and for octets: what `codeAt` answers is all that it looks at. */
const reader = <Line extends { readonly length: number }>(codeAt: (line: Line, at: number) => number) => ({
  spansOf(line: Line): Spans {
    let end = line.length
    if (end > 0 && codeAt(line, end - 1) === 10) end -= 1
    if (end > 0 && codeAt(line, end - 1) === 13) end -= 1
    let begin = 0
    while (begin < end && isBlank(codeAt(line, begin))) begin += 1
    let stop = begin
    while (stop < end && !isBlank(codeAt(line, stop))) stop += 1
    let from = stop
    while (from < end && isBlank(codeAt(line, from))) from += 1
    let to = end
    while (to > from && isWhite(codeAt(line, to - 1))) to -= 1
    return { begin, stop, from, to, end }
  },
  /** The verb is spelt as no client spells it: a mail program could take the line for another one. */
  isOdd: (line: Line, { begin, stop, end }: Spans): boolean =>
    begin > 0 || (stop < end && codeAt(line, stop) !== SPACE),
})

const ofText = reader((line: string, at) => line.charCodeAt(at))
const ofOctets = reader((line: Uint8Array, at) => line[at] as number)

/** `line` is latin1 text, with or without its line ending. */
export function splitCommand(line: string): Command {
  const spans = ofText.spansOf(line)
  const { begin, stop, from, to, end } = spans
  const verb = line.slice(begin, stop)
  const argument = line.slice(from, to)
  return {
    verb: upper(verb),
    argument,
    rest: line.slice(Math.min(stop + 1, end), end),
    plain: ofText.isOdd(line, spans) ? verb + (argument === '' ? '' : ` ${argument}`) + line.slice(end) : line,
  }
}

/** A command line that stays octets, since it may hold a password: its parts are views of the line, which is wiped. */
export interface SecretCommand {
  readonly word: Uint8Array
  readonly argument: Uint8Array
  readonly rest: Uint8Array
  readonly odd: boolean
}

export function splitOctets(line: Uint8Array): SecretCommand {
  const spans = ofOctets.spansOf(line)
  const { begin, stop, from, to, end } = spans
  return {
    word: line.subarray(begin, stop),
    argument: line.subarray(from, to),
    rest: line.subarray(Math.min(stop + 1, end), end),
    odd: ofOctets.isOdd(line, spans),
  }
}

/** Whether these octets are that word, which is in capitals, in ASCII upper or lower case. */
export function isWord(octets: Uint8Array, word: string): boolean {
  if (octets.length !== word.length) return false
  for (let at = 0; at < word.length; at++) {
    const octet = octets[at] as number
    if ((octet >= 97 && octet <= 122 ? octet - 32 : octet) !== word.charCodeAt(at)) return false
  }
  return true
}

/** Without the line ending and the white space before that; NUL stays: what parses the line decides on it. */
export function withoutEnd(line: Uint8Array): Uint8Array {
  let to = line.length
  while (to > 0 && isWhite(line[to - 1] as number)) to -= 1
  return line.subarray(0, to)
}

/** ASCII upper case only: a verb with octets above 127 must not turn into another verb. */
export function upper(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}
