// Base 64 as RFC 4648 writes it, and nothing else: Node's own decoder skips what it does not know.
import { err, ok, type Result } from 'neverthrow'
import { viewOf, wipe } from './bytes.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const NONE = 64
const VALUE = new Uint8Array(256).fill(NONE)
for (let value = 0; value < ALPHABET.length; value++) VALUE[ALPHABET.charCodeAt(value)] = value
const EQUALS = 61

const valueAt = (octets: Uint8Array, at: number): number => VALUE[octets[at] as number] as number

/**
 * Strict: whole quanta, padding where it belongs (4), no line feeds or other characters (3.1, 3.3), pad bits zero (3.5: decoders "MAY
 * choose to reject"; we do, so that one user name has one spelling). The octets are in memory of their own: wipe() them.
 */
export function decodeBase64(octets: Uint8Array): Result<Uint8Array, 'malformed'> {
  const size = octets.length
  if (size % 4 !== 0) return err('malformed')
  if (size === 0) return ok(new Uint8Array(0))
  const pad = octets[size - 1] !== EQUALS ? 0 : octets[size - 2] !== EQUALS ? 1 : 2
  const out = new Uint8Array((size / 4) * 3 - pad)
  if (decodeInto(out, octets, pad)) return ok(out)
  wipe(out)
  return err('malformed')
}

function decodeInto(out: Uint8Array, octets: Uint8Array, pad: number): boolean {
  const whole = pad === 0 ? octets.length : octets.length - 4
  let put = 0
  for (let at = 0; at < whole; at += 4) {
    const a = valueAt(octets, at)
    const b = valueAt(octets, at + 1)
    const c = valueAt(octets, at + 2)
    const d = valueAt(octets, at + 3)
    if ((a | b | c | d) >= NONE) return false
    out[put++] = (a << 2) | (b >> 4)
    out[put++] = (b << 4) | (c >> 2)
    out[put++] = (c << 6) | d
  }
  if (pad === 0) return true
  const a = valueAt(octets, whole)
  const b = valueAt(octets, whole + 1)
  const c = pad === 1 ? valueAt(octets, whole + 2) : 0
  if ((a | b | c) >= NONE || ((pad === 1 ? c : b << 2) & (pad === 1 ? 3 : 63)) !== 0) return false
  out[put++] = (a << 2) | (b >> 4)
  if (pad === 1) out[put] = (b << 4) | (c >> 2)
  return true
}

export function encodeBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64')
}
