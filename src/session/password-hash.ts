// One wrong password told from another, without keeping either.

import { createHmac } from 'node:crypto'

/** Of user and password; what follows them (a timestamp of POP3) differs each time. Twelve octets in base 64. */
export function passwordHash(secret: Uint8Array, credentials: Uint8Array): string {
  const end = credentials.indexOf(0, credentials.indexOf(0) + 1)
  return createHmac('sha256', secret)
    .update(credentials.subarray(0, end < 0 ? credentials.length : end))
    .digest('base64')
    .slice(0, 16)
}

/** Two 32-bit numbers that identify the words, and reveal nothing of them without the secret. */
export function keyedNumbers(secret: Uint8Array, ...words: readonly string[]): readonly [number, number] {
  const digest = createHmac('sha256', secret).update(words.join('\0')).digest()
  return [digest.readInt32LE(0), digest.readInt32LE(4)]
}
