// One line per event: time, level, event, then name=value; the session's name in each. The words are an interface: acceptd(8).

import { fstatSync } from 'node:fs'
import type { LogLevel } from '../contract/daemon.ts'
import type { LogError } from '../contract/log.ts'
import { type LogWriter, openLog } from './log-writer.ts'

const ORDER: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }

export const isLogged = (level: LogLevel, threshold: LogLevel): boolean => ORDER[level] <= ORDER[threshold]

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

const priorities = isJournal() ? PRIORITIES : NO_PRIORITIES

/** `common` is the text of fields that go before the others. */
export function logLine(level: LogLevel, event: string, fields: LogFields, common = ''): string {
  return `${priorities[level]}${new Date().toISOString()} ${level} ${event}${common}${fieldsText(fields)}\n`
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

/** ` name=value` for each field that has one. */
export function fieldsText(fields: LogFields): string {
  let text = ''
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined && value !== '') text += ` ${name}=${typeof value === 'number' ? value : quoted(value)}`
  }
  return text
}

/** A value that a client chose must not look like another field or another line. */
function quoted(value: string): string {
  if (/^[A-Za-z0-9@._:/+,-]+$/.test(value)) return value
  // biome-ignore lint/style/useTemplate: the escapes read better this way
  return '"' + value.replace(/[^ !#-[\]-~]/g, (c) => '\\x' + c.charCodeAt(0).toString(16).padStart(2, '0')) + '"'
}
