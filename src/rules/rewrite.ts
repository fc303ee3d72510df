// START HERE for the rules: a request and a reply put through control/fixsmtpio.
//
//   text ── parse.ts ──> RuleSet, shared by threads ── rulesFor(environment) ──> SessionRules, shared by sessions
//   client ── rewriteRequest(verb) ──> backend ── rewriteReply(the same verb) ──> client
//
// For each line of a reply every rule of the event is tried in the order of the file, its glob against the line as the backend wrote it;
// the last response and the last exit code that match win. A line that a rule wrote gets its CR LF, and the reply its continuation marks.
import { applyToReply, applyToRequest, type RewrittenReply, type SessionRules } from './apply.ts'
import type { Identity } from './fixups.ts'

export type { RewrittenReply, SessionRules } from './apply.ts'
export { rulesFor } from './apply.ts'
export type { Identity } from './fixups.ts'

/** `line` with its line ending; `event` is the verb, in any case. */
export function rewriteRequest(rules: SessionRules, event: string, line: string): string {
  return applyToRequest(rules, event, line)
}

/** One whole reply; `event` is the verb it answers, or greeting, timeout, in_data; at clienteof `reply` is what is left of the input. */
export function rewriteReply(rules: SessionRules, event: string, reply: string, who: Identity): RewrittenReply {
  return applyToReply(rules, event, reply, who)
}
