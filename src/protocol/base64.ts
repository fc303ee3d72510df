// Base 64 as RFC 4648 writes it, and nothing else: Node's own decoder skips what it does not know.
import { err, ok, type Result } from 'neverthrow'
import { viewOf } from './bytes.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const NONE = 64
const VALUE = new Uint8Array(256).fill(NONE)
for (let value = 0; value < ALPHABET.length; value++) VALUE[ALPHABET.charCodeAt(value)] = value
const EQUALS = 61

function valueAt(text: string, at: number): number {
  return VALUE[text.charCodeAt(at)] ?? NONE
}

/**
 * Strict: whole quanta, padding where it belongs (4), no line feeds or other characters (3.1, 3.3), pad bits zero (3.5: decoders "MAY
 * choose to reject"; we do, so that one user name has one spelling). The bytes are in memory of their own: wipe() them.
 */
export function decodeBase64(text: string): Result<Uint8Array, 'malformed'> {
  const size = text.length
  if (size % 4 !== 0) return err('malformed')
  if (size === 0) return ok(new Uint8Array(0))
  const pad = text.charCodeAt(size - 1) !== EQUALS ? 0 : text.charCodeAt(size - 2) !== EQUALS ? 1 : 2
  const out = new Uint8Array((size / 4) * 3 - pad)
  const whole = pad === 0 ? size : size - 4
  let put = 0
  for (let at = 0; at < whole; at += 4) {
    const a = valueAt(text, at)
    const b = valueAt(text, at + 1)
    const c = valueAt(text, at + 2)
    const d = valueAt(text, at + 3)
    if ((a | b | c | d) >= NONE) return err('malformed')
    out[put++] = (a << 2) | (b >> 4)
    out[put++] = (b << 4) | (c >> 2)
    out[put++] = (c << 6) | d
  }
  if (pad > 0) {
    const a = valueAt(text, whole)
    const b = valueAt(text, whole + 1)
    const c = pad === 1 ? valueAt(text, whole + 2) : 0
    if ((a | b | c) >= NONE || ((pad === 1 ? c : b << 2) & (pad === 1 ? 3 : 63)) !== 0) return err('malformed')
    out[put++] = (a << 2) | (b >> 4)
    if (pad === 1) out[put] = (b << 4) | (c >> 2)
  }
  return ok(out)
}

export function encodeBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64')
}
