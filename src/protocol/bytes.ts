// Byte helpers: the one place where protocol, rules and actors meet Node's Buffer.

/** The bytes as text, one character U+0000..U+00FF a byte, so that nothing is lost on the way back. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Latin-1 text as bytes; a character above U+00FF is a bug of the caller and is cut to its low octet. */
export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

/** UTF-8 text as bytes, for what an operator wrote rather than what came over the wire. */
export function utf8Of(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}

export const NO_BYTES: Uint8Array = new Uint8Array(0)

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  return Buffer.concat(parts)
}

/** Overwrites a secret. */
export function wipe(bytes: Uint8Array): void {
  bytes.fill(0)
}
