// authup-helper: the one process of a classic session that keeps the rights authup was started with (native/README.md).

import { type ChildProcess, spawn } from 'node:child_process'
import { realpathSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { bytesOf, concat, textOf, wipe } from '../protocol/bytes.ts'
import { LONGEST_STATUS } from '../protocol/helper.ts'
import type { TlsDescriptors } from './ucspi.ts'

export interface ClassicHelper {
  /** The other end of a guest chain's descriptors 0 and 1. */
  readonly relay: Socket
  /** One request at a time; wipes `credentials` once the helper has them. */
  readonly ask: (
    kind: 'auth' | 'guest',
    tlsOn: boolean,
    environment: readonly string[],
    credentials: Uint8Array,
  ) => void
}

export class NoHelper extends Error {}

/** Beside the program, wherever it is called from. */
const besideUs = (): string => join(dirname(realpathSync(process.argv[1] ?? '')), 'authup-helper')

/**
 * Starts the helper. `answered` hears its lines: `pid N`, then `exit N`, `signal N` or `missing TEXT`; `bad TEXT` instead of these;
 * `lost` once it is gone.
 */
export function startHelper(
  chain: readonly string[],
  guestChain: readonly string[],
  tls: TlsDescriptors | undefined,
  asRoot: boolean,
  answered: (line: string) => void,
): ClassicHelper {
  const words = [...(asRoot ? ['--need-root'] : []), '--', ...chain]
  if (guestChain.length > 0) words.push('--', ...guestChain)
  const helper: ChildProcess = spawn(besideUs(), words, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe', tls?.read ?? 'ignore', tls?.write ?? 'ignore'],
  })
  if (helper.pid === undefined) {
    helper.on('error', () => undefined)
    throw new NoHelper(`cannot run ${besideUs()}`)
  }
  const control = helper.stdio[3] as unknown as Socket
  const relay = helper.stdio[4] as unknown as Socket
  relay.pause()
  relay.on('error', () => undefined)
  let rest = ''
  let gone = false
  const lost = (): void => {
    if (gone) return
    gone = true
    answered('lost')
  }
  helper.on('error', lost)
  control.on('error', lost)
  control.on('close', lost)
  control.on('data', (bytes: Buffer) => {
    const lines = (rest + textOf(bytes)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) answered(line)
    if (rest.length > LONGEST_STATUS) lost()
  })
  return {
    relay,
    ask: (kind, tlsOn, environment, credentials) => {
      if (gone) {
        wipe(credentials)
        setImmediate(answered, 'lost')
        return
      }
      const flags = [...(tlsOn ? ['tls'] : []), ...(kind === 'guest' ? ['relay'] : [])].join(',')
      const strings = bytesOf(`${[kind, flags, ...environment, ''].join('\0')}\0`)
      const head = new Uint8Array(4)
      new DataView(head.buffer).setUint32(0, strings.length + credentials.length)
      const request = concat([head, strings, credentials])
      wipe(credentials)
      control.write(request, () => wipe(request))
    },
  }
}
