// The thread of evaluator.ts: rules applied to what somebody asks about, within bounds. It can be ended at any time.

import { parentPort } from 'node:worker_threads'
import type { RuleFields, RuleStep } from '../contract/daemon.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { explainReply, explainRequest, type TraceStep } from '../rules/explain.ts'
import type { Identity } from '../rules/fixups.ts'
import { parseRules, ruleAt, rulesIn } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'

export interface Evaluation {
  /** Undefined: those of the question before. */
  readonly rules: string | undefined
  readonly who: Identity
  readonly event: string
  readonly request: string | undefined
  readonly reply: string | undefined
  /** Names of variables that are set. */
  readonly set: readonly string[]
}

export type Evaluated =
  | { readonly is: 'done'; readonly result: RuleFields & { readonly trace: readonly RuleStep[] } }
  | { readonly is: 'wrong'; readonly errors: readonly ConfigError[] }
  | { readonly is: 'too-much'; readonly steps: number }

/** Octets that globs may look at, at worst: a fraction of a second. */
export const STEPS = 50_000_000
/** Octets of all steps of the explanation. */
const TRACE = 4_000_000

let rules: ReturnType<typeof parseRules> | undefined

parentPort?.on('message', (asked: Evaluation) => {
  if (asked.rules !== undefined) rules = parseRules(asked.rules, 'text')
  parentPort?.postMessage(answered(asked))
})

function answered(asked: Evaluation): Evaluated {
  if (rules === undefined || rules.isErr()) return { is: 'wrong', errors: rules?.error ?? [] }
  const set = rules.value
  const steps = worst(set, asked)
  return steps > STEPS ? { is: 'too-much', steps } : evaluated(set, asked)
}

/** A glob takes its own length times that of the line, unless it is plain. Every line of a reply is matched. */
function worst(set: RuleSet, { event, request = '', reply = '' }: Evaluation): number {
  const name = event.toLowerCase()
  const lines = reply.split('\n').length
  let steps = 0
  for (const { event: of, glob, prepend } of rulesIn(set)) {
    if (of !== name) continue
    steps += prepend.length + request.length + lines
    steps += /[*?[\\].|[?[\\]/s.test(glob) ? glob.length * reply.length : glob.length * lines
  }
  return steps
}

function evaluated(set: RuleSet, { who, event, request, reply, set: names }: Evaluation): Evaluated {
  const given = new Set(names)
  const here = rulesFor(set, (name) => given.has(name))
  const asked = request === undefined ? undefined : explainRequest(here, event, request)
  const said = reply === undefined ? undefined : explainReply(here, event, reply, who)
  const trace = [...(asked?.trace ?? []), ...(said?.trace ?? [])]
  const octets = trace.reduce((sum, { before, after }) => sum + before.length + after.length + 64, 0)
  if (octets > TRACE) return { is: 'too-much', steps: octets }
  const exitcode = said?.exitcode
  return {
    is: 'done',
    result: {
      ...(asked === undefined ? {} : { request: asked.line }),
      ...(said === undefined ? {} : { reply: said.reply }),
      ...(exitcode === undefined ? {} : { exitcode }),
      trace: [
        ...(asked?.trace ?? []).map((step) => stepOf(set, step, 'request')),
        ...(said?.trace ?? []).map((step) => stepOf(set, step, 'reply')),
      ],
    },
  }
}

function stepOf(set: RuleSet, { rule: index, matched, before, after }: TraceStep, what: 'request' | 'reply'): RuleStep {
  const rule = ruleAt(set, index)
  const exits = what === 'reply' && matched && rule?.exitcode !== undefined
  return {
    rule: rule?.text ?? '',
    line: rule?.line ?? 0,
    matched,
    before: { [what]: before },
    after: { [what]: after, ...(exits ? { exitcode: rule.exitcode } : {}) },
  }
}
