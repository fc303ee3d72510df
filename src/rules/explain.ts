// The same as rewrite.ts, saying which rule did what.
import { applyToReply, applyToRequest, type RewrittenReply, type SessionRules, type TraceStep } from './apply.ts'
import type { Identity } from './fixups.ts'

export type { TraceStep } from './apply.ts'

export interface ExplainedRequest {
  readonly line: string
  /** Every rule of the event, in the order of the file; `matched`: it has a prepend. */
  readonly trace: readonly TraceStep[]
}

export interface ExplainedReply extends RewrittenReply {
  /** Every rule of the event, line by line. */
  readonly trace: readonly TraceStep[]
}

export function explainRequest(rules: SessionRules, event: string, line: string): ExplainedRequest {
  const trace: TraceStep[] = []
  return { line: applyToRequest(rules, event, line, trace), trace }
}

export function explainReply(rules: SessionRules, event: string, reply: string, who: Identity): ExplainedReply {
  const trace: TraceStep[] = []
  return { ...applyToReply(rules, event, reply, who, trace), trace }
}
