// Control files that are each valid but cannot work together, or not on this host.

import { plainIp } from '../protocol/ip.ts'
import type { Config } from './config.ts'
import { type Reading, trouble } from './knobs.ts'

type Together = Pick<
  Config,
  | 'access'
  | 'accessFiles'
  | 'remoteHost'
  | 'probesCapabilities'
  | 'me'
  | 'listeners'
  | 'metrics'
  | 'smtpCapabilities'
  | 'chains'
>

export function refuseContradictions(reading: Reading, config: Together): void {
  refuseBlanks(reading, config)
  refuseOwnKeywords(reading, config)
  refuseSameAddress(reading, config)
  refuseUncheckable(reading, config)
  requireCertUsers(reading, config)
  requireAccessFiles(reading, config)
  requireNames(reading, config)
  requireProbe(reading, config)
}

function requireProbe({ errors }: Reading, { probesCapabilities, chains }: Together): void {
  if (!probesCapabilities || chains.chains.some(({ kind }) => kind === 'probe')) return
  const problem = 'there is no chain of kind probe whose backend could be asked'
  errors.push(trouble('smtpcapabilities', 1, 1, problem, 'add one to control/chains, or write the keywords'))
}

function requireAccessFiles({ texts, errors }: Reading, { listeners }: Together): void {
  for (const { name, access, line } of listeners) {
    if (access === undefined || texts[access] !== undefined) continue
    const problem = `there is no control/${access}, which the listener ${name} names`
    errors.push(trouble('listeners', line, 1, problem, 'write its rules, e.g. :allow'))
  }
}

/** Without names a rule that denies one would let it in. */
function requireNames({ errors }: Reading, { access, accessFiles, remoteHost }: Together): void {
  if (remoteHost) return
  for (const [file, { byName }] of [['access', access] as const, ...accessFiles]) {
    const [rule] = byName.values()
    if (rule === undefined) continue
    const problem = `\`${rule.text}\` is a name, and names are not looked up`
    errors.push(trouble(file, rule.line, 1, problem, 'write 1 into control/remotehost, or name addresses'))
  }
}

/** The built-in checkpassword knows hashes: a response to a challenge, or a token, it could only refuse. */
function refuseUncheckable({ errors }: Reading, { chains }: Together): void {
  for (const { name, line, checkpassword, mechanisms } of chains.chains) {
    const wrong = mechanisms?.filter((mechanism) => mechanism !== 'PLAIN' && mechanism !== 'LOGIN') ?? []
    if (checkpassword[0] !== 'builtin' || wrong.length === 0) continue
    const problem = `the chain ${name} offers ${wrong.join(', ')}, which the built-in checkpassword cannot check`
    errors.push(trouble('chains', line, 1, problem, 'take it out of mechanisms, or name a checkpassword that can'))
  }
}

function requireCertUsers({ texts, errors }: Reading, { listeners }: Together): void {
  const listener = listeners.find(({ external }) => external !== undefined)
  if (listener === undefined || texts['certusers'] !== undefined) return
  const problem = `there is no such file, and the listener ${listener.name} has external=${listener.external}`
  errors.push(trouble('certusers', 1, 1, problem, 'write whom a certificate stands for, e.g. ann ann@example.org'))
}

function refuseBlanks({ errors }: Reading, { me }: Together): void {
  const at = me.search(/\s/)
  if (at >= 0)
    errors.push(trouble('me', 1, at + 1, 'the name of a host has no blanks', 'write one name, e.g. mail.example.org'))
}

/** acceptd adds these itself, where they hold. */
const OWN = /^(STARTTLS|AUTH)\b/i

function refuseOwnKeywords({ texts, errors }: Reading, { smtpCapabilities }: Together): void {
  for (const keyword of smtpCapabilities) {
    if (!OWN.test(keyword)) continue
    const line = (texts['smtpcapabilities'] ?? '').split('\n').findIndex((text) => text.trim() === keyword.trim()) + 1
    const problem = `acceptd itself says ${keyword.split(' ')[0]}, where it can be used`
    errors.push(trouble('smtpcapabilities', Math.max(1, line), 1, problem, 'take the line out'))
  }
}

/** Port 0 is another one each time. */
function refuseSameAddress({ errors }: Reading, { listeners, metrics }: Together): void {
  const fixed = listeners.filter(({ port }) => port !== 0)
  for (const [i, { address, port, line }] of fixed.entries()) {
    const other = fixed.slice(0, i).find((before) => before.port === port && overlap(before.address, address))
    if (other === undefined) continue
    const problem = `another listener has ${other.address}:${port}`
    errors.push(trouble('listeners', line, 1, problem, 'choose another port'))
  }
  if (metrics === undefined || metrics.port === 0) return
  const host = metrics.host === 'localhost' ? '127.0.0.1' : metrics.host
  const other = listeners.find(
    ({ address, port }) => port === metrics.port && (address === '::' || overlap(address, host)),
  )
  if (other !== undefined)
    errors.push(trouble('metrics', 1, 1, `the listener ${other.name} has this port`, 'choose another port'))
}

/** Whether the kernel lets only one of them listen: they are the same, or one takes every address of the family. */
function overlap(one: string, other: string): boolean {
  const [a, b] = [plainIp(one) ?? [], plainIp(other) ?? []]
  const isAny = (octets: readonly number[]) => octets.every((octet) => octet === 0)
  return a.length === b.length && (isAny(a) || isAny(b) || a.every((octet, i) => octet === b[i]))
}
