// Octets on the wire. Inside, what comes from clients, files and operators is a text of one character an octet; on the sockets it is UTF-8,
// with \xNN for an octet that is no part of UTF-8 and \\ for a backslash. What was read from a result can be given back as a parameter.
import { z } from 'zod'

/** A character of UTF-8 in octets, RFC 3629 section 4; else a lone octet, or a backslash. */
const PIECES =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff\\]/g

/** Octets as the wire shows them. */
export function shownOctets(octets: string): string {
  return octets.replace(PIECES, (piece) => {
    if (piece === '\\') return '\\\\'
    return piece.length > 1 ? Buffer.from(piece, 'latin1').toString() : `\\x${piece.charCodeAt(0).toString(16)}`
  })
}

const WRITTEN = /\\\\|\\x([0-9A-Fa-f]{2})|\\[*?]|\\|[^\\]+/gu

/** `literally`: what an octet becomes that was written in another way, or is a backslash. */
const reader =
  (literally: (octet: string) => string) =>
  (shown: string): string =>
    shown.replace(WRITTEN, (piece, hex: string | undefined) => {
      if (hex !== undefined) return literally(String.fromCharCode(Number.parseInt(hex, 16)))
      if (piece === '\\' || piece === '\\\\') return literally('\\')
      return piece.startsWith('\\') ? piece : Buffer.from(piece).toString('latin1')
    })

/** The octets that a text of the wire means. A backslash that begins nothing is itself. */
export const readOctets = reader((octet) => octet)

/** The same of a glob as globMatches reads it, where `\*` and `\?` are written for the octets themselves. */
export const readGlob = reader((octet) => (/[*?\\]/.test(octet) ? `\\${octet}` : octet))

/** UTF-16 that has no UTF-8. */
const HALF = /\p{Surrogate}/u

/** An octet takes up to four characters on the wire. */
const written = (least: number, most: number, read: (shown: string) => string) =>
  z
    .string()
    .min(least)
    .max(most * 4)
    .refine((text) => !HALF.test(text), 'not Unicode')
    .transform(read)
    .refine((text) => text.length <= most, `more than ${most} octets`)

/** A parameter that is octets inside. */
export const octets = (least: number, most: number) => written(least, most, readOctets)

/** A parameter that is a glob over octets. */
export const octetGlob = (most: number) => written(1, most, readGlob)

/** Every text of a result, a failure or an event, as the wire shows it. */
export function shown<T>(value: T): T
export function shown(value: unknown): unknown {
  if (typeof value === 'string') return PLAIN.test(value) ? value : shownOctets(value)
  if (Array.isArray(value)) return value.map((each: unknown) => shown(each))
  if (typeof value !== 'object' || value === null) return value
  const made: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) {
    // Not by an assignment, which takes `__proto__` for something else.
    Object.defineProperty(made, shownOctets(name), {
      value: shown(member),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return made
}

/** Nothing that is written in another way: nearly every text. */
const PLAIN = /^[^\\\x80-\xff]*$/
