// What EHLO offers before login, held against what the backend offers after it.

import { sizeLimit } from './mail.ts'

export interface Advice {
  /** A line of control/smtpcapabilities is to be added, taken out or written otherwise. */
  readonly do: 'add' | 'remove' | 'change'
  readonly line: string
  readonly why: string
}

/** What acceptd says or does itself, or what is between the backend and its own front only. */
const NOT_OFFERED = new Set(['AUTH', 'STARTTLS', 'BINARYMIME', 'XCLIENT', 'XFORWARD'])
/** acceptd turns BDAT into DATA. */
const NEEDS_NO_BACKEND = new Set(['CHUNKING'])

const keywordOf = (line: string): string => /^[^\s=]*/.exec(line)?.[0].toUpperCase() ?? ''

/** The lines of a reply to EHLO after its first, without codes. */
export const keywordLines = (reply: string): readonly string[] =>
  reply
    .split('\n')
    .slice(1)
    .map((line) => line.slice(4).trim())
    .filter((line) => line !== '')

/** Those lines of a backend that acceptd may promise before the login. */
export const offeredOf = (backend: readonly string[]): readonly string[] =>
  backend.filter((line) => !NOT_OFFERED.has(keywordOf(line)))

/** What to change in the capabilities, so that they promise what the backend keeps, and all of it. */
export function compareKeywords(offered: readonly string[], backend: readonly string[]): readonly Advice[] {
  const lines = offered.map((line) => line.trim()).filter((line) => line !== '')
  const [ours, theirs] = [new Set(lines.map(keywordOf)), new Set(backend.map(keywordOf))]
  const advice: Advice[] = []
  for (const line of lines) {
    const keyword = keywordOf(line)
    if (NOT_OFFERED.has(keyword)) advice.push({ do: 'remove', line, why: 'it is not for this file' })
    else if (!theirs.has(keyword) && !NEEDS_NO_BACKEND.has(keyword))
      advice.push({ do: 'remove', line, why: 'the backend does not offer it' })
  }
  for (const line of backend) {
    const keyword = keywordOf(line)
    if (!ours.has(keyword) && !NOT_OFFERED.has(keyword)) advice.push({ do: 'add', line, why: 'the backend offers it' })
  }
  const [most, taken] = [sizeLimit(lines), sizeLimit(backend)]
  if (ours.has('SIZE') && theirs.has('SIZE') && most > taken)
    advice.push({ do: 'change', line: `SIZE ${taken}`, why: 'the backend takes no more' })
  return advice
}
