// control/listeners: ADDRESS:PORT PROTOCOL CHAIN [tries=N] [guest=CHAIN] [name=NAME]

import { err, ok, type Result } from 'neverthrow'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { ChainsFile } from './chains.ts'

export interface ListenerConfig {
  readonly name: string
  readonly line: number
  /** Without the brackets of IPv6. */
  readonly address: string
  readonly port: number
  readonly protocol: 'smtp' | 'pop3'
  readonly chain: string
  readonly guest: string | undefined
  /** Wrong passwords a session may send. */
  readonly tries: number
}

export function parseListeners(
  text: string | undefined,
  file: string,
  chains: ChainsFile | undefined,
): Result<readonly ListenerConfig[], readonly ConfigError[]> {
  if (text === undefined) {
    return err([
      { file, line: 1, column: 1, problem: 'there is no such file', hint: 'write e.g. 0.0.0.0:587 smtp submission' },
    ])
  }
  const errors: ConfigError[] = []
  const listeners: ListenerConfig[] = []
  for (const { line, text: raw } of controlLines(text)) {
    const fail = (word: string, problem: string, hint: string) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const [where = '', protocol = '', chain = '', ...options] = raw.trim().split(/[ \t]+/)
    const match = /^(\[[0-9A-Fa-f:.]+\]|\d+\.\d+\.\d+\.\d+):(\d{1,5})$/.exec(where)
    const port = Number(match?.[2] ?? -1)
    if (match === null || port > 65_535)
      fail(where, `\`${where}\` is not ADDRESS:PORT`, 'write e.g. 127.0.0.1:587 or [::]:587')
    if (protocol !== 'smtp' && protocol !== 'pop3')
      fail(protocol, `\`${protocol}\` is not a protocol`, 'write smtp or pop3')
    const known = (name: string, kind: 'auth' | 'guest') => {
      if (chains === undefined) return
      const found = chains.chains.find((each) => each.name === name)
      const names = chains.chains.filter((each) => each.kind === kind).map((each) => each.name)
      if (found === undefined)
        fail(name, `there is no chain \`${name}\` in control/chains`, `name one of ${names.join(', ')}`)
      else if (found.kind !== kind)
        fail(
          name,
          `the chain ${name} is of kind ${found.kind}`,
          `name one of kind ${kind}: ${names.join(', ') || 'there is none'}`,
        )
    }
    if (chain === '') fail(where, 'the chain is missing', 'write ADDRESS:PORT PROTOCOL CHAIN')
    else known(chain, 'auth')
    let tries = protocol === 'pop3' ? 1 : 5
    let guest: string | undefined
    let name = ''
    for (const option of options) {
      const [key = '', value = ''] = option.split(/=(.*)/)
      if (key === 'tries' && /^[1-9]\d?$/.test(value)) tries = Number(value)
      else if (key === 'guest' && protocol === 'smtp') {
        guest = value
        known(value, 'guest')
      } else if (key === 'name' && /^[A-Za-z0-9._:-]{1,64}$/.test(value)) name = value
      else fail(option, `\`${option}\` is not an option`, 'write tries=1..99, guest=CHAIN (smtp only) or name=NAME')
    }
    if (name === '') name = freeName(`${protocol}:${port}`, listeners)
    if (listeners.some((other) => other.name === name))
      fail(where, `there are two listeners named ${name}`, 'add name=NAME to one')
    if (protocol === 'smtp' || protocol === 'pop3') {
      listeners.push({
        name,
        line,
        address: (match?.[1] ?? '').replace(/[[\]]/g, ''),
        port,
        protocol,
        chain,
        guest,
        tries,
      })
    }
  }
  if (listeners.length === 0 && errors.length === 0) {
    errors.push({
      file,
      line: 1,
      column: 1,
      problem: 'there is no listener',
      hint: 'write e.g. 0.0.0.0:587 smtp submission',
    })
  }
  return errors.length > 0 ? err(errors) : ok(listeners)
}

/** Without name=, a listener is called by protocol and port, the second one on the same port with -2 behind it. */
function freeName(wanted: string, listeners: readonly ListenerConfig[]): string {
  const taken = (name: string) => listeners.some((other) => other.name === name)
  let name = wanted
  for (let n = 2; taken(name); n += 1) name = `${wanted}-${n}`
  return name
}
