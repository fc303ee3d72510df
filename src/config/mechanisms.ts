// How the clients of a listener may log in: what its chain's checkpassword can check.

import type { LoginMethod } from '../protocol/sasl.ts'
import type { Config } from './config.ts'
import type { ListenerConfig } from './listeners.ts'

/**
 * The chain's line `mechanisms`; without one PLAIN and LOGIN, and in POP3 those of them that the line SASL of control/pop3capabilities
 * names. EXTERNAL is there for a listener with external=, though for clients with a certificate only.
 */
export function mechanismsOf(
  { chains, pop3Capabilities, apop }: Pick<Config, 'chains' | 'pop3Capabilities' | 'apop'>,
  { protocol, chain, external }: ListenerConfig,
): readonly LoginMethod[] {
  const named = chains.chains.find(({ name }) => name === chain)?.mechanisms
  const certificates: readonly LoginMethod[] = external === undefined ? [] : ['EXTERNAL']
  const sasl = named?.filter((method) => method !== 'APOP')
  if (protocol === 'smtp') return [...(sasl ?? PASSWORDS), ...certificates]
  const hasPasswords = named === undefined || named.some((method) => PASSWORDS.includes(method))
  return [
    ...(hasPasswords ? (['USER'] as const) : []),
    ...((named?.includes('APOP') ?? apop) ? (['APOP'] as const) : []),
    ...(sasl ?? saslOf(pop3Capabilities)),
    ...certificates,
  ]
}

/** In the order that acceptutils has. */
export const PASSWORDS: readonly LoginMethod[] = ['LOGIN', 'PLAIN']

/** RFC 5034 section 4: a line SASL, with its mechanisms. */
export function saslOf(capabilities: readonly string[]): readonly LoginMethod[] {
  const words = capabilities.map((line) => line.toUpperCase().split(' ')).find(([keyword]) => keyword === 'SASL') ?? []
  return words.flatMap((word) => PASSWORDS.find((method) => method === word) ?? [])
}
