// The hash that passwords have: the other rows have the cheapest there is.
import { cpu, login, p99, ratio, sessions } from './readings.ts'
import type { Row } from './row.ts'
import type { Hash, Setup } from './side.ts'

const HASHES: readonly (readonly [Hash, string])[] = [
  ['sha512', 'sha512-crypt with 5000 rounds'],
  ['yescrypt', 'yescrypt, as Debian hashes'],
]

const KINDS: readonly (readonly [string, string, Partial<Setup>])[] = [
  ['cold', 'checkpassword as a program', {}],
  ['linked', 'checkpassword linked into the helper', { chain: 'builtin' }],
  [
    'verified',
    'the same with `verified 3600`: who comes again is not hashed again',
    { chain: 'builtin', verified: true },
  ],
  ['warm', 'warm logins', { warm: true }],
]

export const hashRows: readonly Row[] = HASHES.flatMap(([hash, words]) =>
  KINDS.map(([kind, sentence, ours]): Row => {
    const target = hash === 'yescrypt' && kind === 'verified' ? { target: ratio(5, 10) } : {}
    return {
      row: `${hash}-${kind}`,
      sentence: `${words}; ${sentence}`,
      against: 'chain',
      setup: { hash },
      ours,
      ...(kind === 'cold' || kind === 'linked' ? { limit: 'hash, fork, exec' as const } : {}),
      load: {},
      points: [{ clients: 64 }],
      readings: [sessions(target), p99(), login(), cpu()],
    }
  }),
)
