// The control directory as a classic program reads it: with qmail's rules, and in trouble only if qmail would be.

import { readFileSync } from 'node:fs'
import { controlLines, firstLine } from '../protocol/control-lines.ts'

export class Unreadable extends Error {}

export const homeOf = (env: Readonly<Record<string, string | undefined>>): string => env['QMAILHOME'] || '/var/qmail'

/** The control files of one home; each method throws Unreadable where qmail's own would answer -1. */
export interface Controls {
  /** control_readfile: undefined without the file. */
  readonly lines: (name: string) => readonly string[] | undefined
  /** The same for a file anywhere. */
  readonly linesOf: (path: string) => readonly string[] | undefined
  /** control_readline: undefined without the file. */
  readonly line: (name: string) => string | undefined
  /** control_readint: the fallback without the file, or without a number in it. */
  readonly number: (name: string, fallback: number) => number
  /** control_rldef: control/me without the file; neither is trouble. */
  readonly greeting: (name: string) => string
  /** The whole file as it is. */
  readonly text: (name: string) => string | undefined
}

/** Of AUTHUP_CONTROLS, which native/authup.c sets where it has opened the control files as root: their descriptors, or -1. */
export const handedControls = (text: string): ReadonlyMap<string, number> =>
  new Map([...text.matchAll(/(\w+):(-?\d+) /g)].map(([, name = '', fd]) => [name, Number(fd)]))

/** Undefined without the file. */
function textOf(file: string | number, path: string): string | undefined {
  try {
    return readFileSync(file, 'latin1')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new Unreadable(`${path}: ${message}`)
  }
}

const linesOfText = (text: string | undefined): readonly string[] | undefined =>
  text === undefined ? undefined : controlLines(text).map((each) => each.text)

/** `handed`: these files and no others, already open. */
export function controlsOf(home: string, handed?: ReadonlyMap<string, number>): Controls {
  const directory = `${home}/control`
  /** A descriptor can be read once only. */
  const read = new Map<string, string | undefined>()
  const text = (name: string): string | undefined => {
    const path = `${directory}/${name}`
    if (handed === undefined) return textOf(path, path)
    const fd = handed.get(name)
    if (fd === undefined) return undefined
    if (!read.has(name)) read.set(name, textOf(fd, path))
    return read.get(name)
  }
  const line = (name: string): string | undefined => {
    const found = text(name)
    return found === undefined ? undefined : firstLine(found)
  }
  return {
    text,
    line,
    linesOf: (path) => linesOfText(textOf(path, path)),
    lines: (name) => linesOfText(text(name)),
    number: (name, fallback) => leadingNumber(line(name) ?? '') ?? fallback,
    greeting: (name) => {
      // control_init reads it first, so a control/me that cannot be read is trouble even where it is not needed.
      const me = line('me')
      const found = line(name) ?? me
      if (found === undefined) throw new Unreadable(`${directory}/me: no such file, and no ${name}`)
      return found
    },
  }
}

/** scan_ulong: the digits that a text begins with; undefined if it begins with none. */
export function leadingNumber(text: string): number | undefined {
  const digits = /^\d+/.exec(text)?.[0]
  return digits === undefined ? undefined : Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
}
