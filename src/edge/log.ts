// One line per event: time, level, event, then name=value; the session's name in each. The words are an interface: acceptd(8).

import { fstatSync } from 'node:fs'
import type { LogLevel } from '../contract/daemon.ts'
import { COMPONENT_OF, type LogError, type LogLevels, levelOf } from '../contract/log.ts'
import { type LogWriter, openLog } from './log-writer.ts'

const ORDER: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

export const isLogged = (level: LogLevel, event: string, levels: LogLevels): boolean =>
  ORDER[level] <= ORDER[levelOf(levels, COMPONENT_OF.get(event) ?? 'acceptd')]

export type LogFields = Readonly<Record<string, string | number | undefined>>

/** The levels of syslog(3), as sd-daemon(3) wants them before a line. */
const PRIORITIES: Readonly<Record<LogLevel, string>> = { error: '<3>', warn: '<4>', info: '<6>', debug: '<7>' }
const NO_PRIORITIES: Readonly<Record<LogLevel, string>> = { error: '', warn: '', info: '', debug: '' }

/** Whether descriptor 2 is the stream of systemd's journal that JOURNAL_STREAM names. */
function isJournal(): boolean {
  try {
    const { dev, ino } = fstatSync(2)
    return process.env.JOURNAL_STREAM === `${dev}:${ino}`
  } catch {
    return false
  }
}

const toJournal = isJournal()
const priorities = toJournal ? PRIORITIES : NO_PRIORITIES

export type LogFormat = 'text' | 'json'

/** Of this thread, from its first line on: control/logformat changes with a restart. */
let format: LogFormat = 'text'
export function useLogFormat(wanted: LogFormat): void {
  format = wanted
}

/** `common` is what fieldsText has made of fields that go before the others. The journal has a time of its own for a line of text. */
export function logLine(level: LogLevel, event: string, fields: LogFields, common = ''): string {
  const time = new Date().toISOString()
  const more = `${common}${fieldsText(fields)}`
  if (format === 'json')
    return `${priorities[level]}{"time":"${time}","level":"${level}","event":${jsonText(event)}${more}}\n`
  return `${priorities[level]}${toJournal ? '' : `${time} `}${level} ${event}${more}\n`
}

/** Longer values are cut where they are kept in memory. */
const MOST_KEPT = 1000

/** A warning or an error as a value; undefined: it is neither. `more` overrides fields of the same name. */
export function logError(at: LogLevel, event: string, fields: LogFields, more: LogFields = {}): LogError | undefined {
  if (at !== 'error' && at !== 'warn') return undefined
  const kept: Record<string, string | number> = {}
  for (const [name, value] of Object.entries({ ...fields, ...more }))
    if (value !== undefined && value !== '') kept[name] = typeof value === 'number' ? value : value.slice(0, MOST_KEPT)
  return { at: Date.now(), level: at, event, fields: kept }
}

/** The log of a process of acceptd. */
export const openStderr = (): LogWriter => openLog(2, (lines) => logLine('warn', 'log-lines-lost', { lines }))

/** ` name=value`, or `,"name":value`, for each field that has one. */
export function fieldsText(fields: LogFields): string {
  let text = ''
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined || value === '') continue
    if (format === 'json') text += `,"${name}":${typeof value === 'number' ? value : jsonText(value)}`
    else text += ` ${name}=${typeof value === 'number' ? value : quoted(value)}`
  }
  return text
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Octets as a string of JSON in ASCII: UTF-8 if they are, else each octet that is not ASCII as `\\xNN`. */
function jsonText(octets: string): string {
  return JSON.stringify(textIn(octets)).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function textIn(octets: string): string {
  if (/^[ -~]*$/.test(octets)) return octets
  try {
    return utf8.decode(Buffer.from(octets, 'latin1'))
  } catch {
    return octets.replace(/[^\0-~]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  }
}

/** A value that a client chose must not look like another field or another line. */
function quoted(value: string): string {
  if (/^[A-Za-z0-9@._:/+,-]+$/.test(value)) return value
  // biome-ignore lint/style/useTemplate: the escapes read better this way
  return '"' + value.replace(/[^ !#-[\]-~]/g, (c) => '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0')) + '"'
}
