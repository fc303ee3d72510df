// Rules for a test, and the identity of the server that answers.
import type { Identity } from '../../src/rules/fixups.ts'
import { parseRules } from '../../src/rules/parse.ts'
import { rulesFor, type SessionRules } from '../../src/rules/rewrite.ts'
import type { RuleSet } from '../../src/rules/ruleset.ts'
import { held } from '../protocol/results.ts'

export const WHO: Identity = { greeting: 'mx.example', tls: 'none', classic: false, enhanced: false }
export const OFFER: Identity = { greeting: 'mx.example', tls: 'offer', classic: true, enhanced: false }

export function setOf(...lines: readonly string[]): RuleSet {
  return held(parseRules(lines.join('\n'), 'control/fixsmtpio'))
}

export function session(lines: readonly string[], ...env: readonly string[]): SessionRules {
  return rulesFor(setOf(...lines), (name) => env.includes(name))
}
