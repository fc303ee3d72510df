// One way to read a command line, before login and after it: whatever a mail program behind us would take for a verb is that verb.
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

/** Without its line ending and the white space before that; NUL stays for whoever judges the line. */
export function withoutEnd(line: string): string {
  let to = line.length
  while (to > 0 && isWhite(line.charCodeAt(to - 1))) to -= 1
  return line.slice(0, to)
}

/** `line` is latin1 text, with or without its line ending. */
export function splitCommand(line: string): Command {
  let end = line.length
  if (line.endsWith('\n')) end -= 1
  if (end > 0 && line.charCodeAt(end - 1) === 13) end -= 1
  let begin = 0
  while (begin < end && isBlank(line.charCodeAt(begin))) begin += 1
  let stop = begin
  while (stop < end && !isBlank(line.charCodeAt(stop))) stop += 1
  let from = stop
  while (from < end && isBlank(line.charCodeAt(from))) from += 1
  let to = end
  while (to > from && isWhite(line.charCodeAt(to - 1))) to -= 1
  const verb = line.slice(begin, stop)
  const argument = line.slice(from, to)
  const odd = begin > 0 || (stop < end && line.charCodeAt(stop) !== SPACE)
  return {
    verb: upper(verb),
    argument,
    rest: line.slice(Math.min(stop + 1, end), end),
    plain: odd ? verb + (argument === '' ? '' : ` ${argument}`) + line.slice(end) : line,
  }
}

/** ASCII upper case only: a verb with octets above 127 must not turn into another verb. */
export function upper(text: string): string {
  return text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}
