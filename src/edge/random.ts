// Numbers that nobody can guess.

import { randomInt } from 'node:crypto'

/** Up to fifteen decimal digits. */
export const randomDigits = (): string => String(randomInt(2 ** 47))
