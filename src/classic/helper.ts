// authup-helper: the one process of a classic session that keeps the rights authup was started with (native/README.md).

import { Socket } from 'node:net'
import { bytesOf, concat, textOf, wipe } from '../protocol/bytes.ts'
import { LONGEST_STATUS } from '../protocol/helper.ts'

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

export interface Launch {
  /** What authup was called. */
  readonly name: string
  /** The two streams to the helper, or why there are none: empty if the command line has no chain. */
  readonly helper: { readonly control: number; readonly relay: number } | string
}

/** Of AUTHUP_LAUNCHER, which native/authup.c sets. */
export function parseLaunch(text: string): Launch {
  const [, name = '', rest = ''] = /^(\S+) (.*)$/.exec(text) ?? []
  const [, control, relay] = /^(\d+) (\d+)$/.exec(rest) ?? []
  return { name, helper: control === undefined ? rest : { control: Number(control), relay: Number(relay) } }
}

export class NoHelper extends Error {}

/** What the helper says: `pid`, then how the chain has ended; `bad` instead of these; `lost` once it is gone. */
export type ClassicAnswer =
  | { readonly is: 'pid'; readonly pid: number }
  | { readonly is: 'exit' | 'signal'; readonly code: number }
  | { readonly is: 'missing' | 'bad'; readonly text: string }
  | { readonly is: 'lost' }

/** A line without its LF; one that the helper would not write is `bad`. */
export function parseAnswer(line: string): ClassicAnswer {
  const [, word = '', rest = ''] = /^([a-z]+) (.*)$/s.exec(line) ?? []
  const number = /^\d{1,10}$/.test(rest) ? Number(rest) : undefined
  if (word === 'pid' && number !== undefined) return { is: 'pid', pid: number }
  if ((word === 'exit' || word === 'signal') && number !== undefined) return { is: word, code: number }
  return word === 'missing' ? { is: 'missing', text: rest } : { is: 'bad', text: word === 'bad' ? rest : line }
}

export function joinHelper({ helper }: Launch, answered: (answer: ClassicAnswer) => void): ClassicHelper {
  if (typeof helper === 'string') throw new NoHelper(helper)
  const control = new Socket({ fd: helper.control, readable: true, writable: true })
  const relay = new Socket({ fd: helper.relay, readable: true, writable: true })
  relay.pause()
  relay.on('error', () => undefined)
  let rest = ''
  let gone = false
  const lost = (): void => {
    if (gone) return
    gone = true
    answered({ is: 'lost' })
  }
  control.on('error', lost)
  control.on('close', lost)
  control.on('data', (bytes: Buffer) => {
    const lines = (rest + textOf(bytes)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) answered(parseAnswer(line))
    if (rest.length > LONGEST_STATUS) lost()
  })
  return {
    relay,
    ask: (kind, tlsOn, environment, credentials) => {
      if (gone) {
        wipe(credentials)
        setImmediate(answered, { is: 'lost' } as const)
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
