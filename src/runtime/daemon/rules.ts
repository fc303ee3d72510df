// The control plane's view of the rules: those of a generation, and what they would do.

import { err, ok, type Result } from 'neverthrow'
import { type Config, compileConfig } from '../../config/config.ts'
import type { StoredGeneration } from '../../config/generations.ts'
import type { ControlTexts } from '../../config/knobs.ts'
import type { Daemon, RpcFailure, RuleEvaluation, RuleQuestion, RuleStep } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import { promisesStatus } from '../../protocol/status.ts'
import { explainReply, explainRequest, type TraceStep } from '../../rules/explain.ts'
import type { Identity } from '../../rules/fixups.ts'
import { parseRules } from '../../rules/parse.ts'
import { rulesFor } from '../../rules/rewrite.ts'
import type { RuleSet } from '../../rules/ruleset.ts'
import type { Runtime } from '../runtime.ts'
import { usesOf } from './uses.ts'

export const rulesOf = (runtime: Runtime): Daemon['rules'] => ({
  async list(generation) {
    const stored = generationOf(runtime, generation)
    if (stored.isErr()) return err(stored.error)
    const { generation: number, sha256, config } = stored.value
    const { hits } = await usesOf(runtime)
    const rules = config.rules.rules.map(({ line, text, event }) => {
      const hit = hits.get(text)
      return { line, text, event, hits: hit?.count ?? 0, ...(hit === undefined ? {} : { lastHit: hit.last }) }
    })
    return ok({ generation: number, sha256, rules })
  },
  evaluate: (question) =>
    generationOf(runtime, question.generation).andThen((stored) =>
      ruleSetOf(stored, question.text).map((rules) => evaluated(rules, identityOf(stored), question)),
    ),
})

/** The kept generation that was asked for last. */
let compiled: { readonly texts: ControlTexts; readonly config: Config | undefined } | undefined

function compiledOf(texts: ControlTexts): Config | undefined {
  if (compiled?.texts !== texts) compiled = { texts, config: compileConfig(texts).unwrapOr(undefined) }
  return compiled.config
}

function generationOf({ publishing }: Runtime, number: number | undefined): Result<StoredGeneration, RpcFailure> {
  if (number === undefined) return ok(publishing.current)
  if (number === publishing.current.generation) return ok(publishing.current)
  const stored = publishing.kept.find((one) => one.generation === number)
  const config = stored && compiledOf(stored.texts)
  return stored === undefined || config === undefined
    ? notFound('no-such-generation', `generation ${number} is not kept`)
    : ok({ ...stored, config })
}

const ruleSetOf = ({ config }: StoredGeneration, text: string | undefined): Result<RuleSet, RpcFailure> =>
  text === undefined
    ? ok(config.rules)
    : parseRules(text, 'text').mapErr((errors) =>
        failure('config-invalid', 'config-invalid', 'the text has errors', { errors }),
      )

const identityOf = ({ config: { smtpGreeting, smtpCapabilities } }: StoredGeneration): Identity => ({
  greeting: smtpGreeting,
  tls: 'none',
  classic: false,
  enhanced: promisesStatus(smtpCapabilities),
})

function evaluated(set: RuleSet, who: Identity, { event, request, reply, env }: RuleQuestion): RuleEvaluation {
  const rules = rulesFor(set, (name) => env !== undefined && Object.hasOwn(env, name))
  const asked = request === undefined ? undefined : explainRequest(rules, event, request)
  const answered = reply === undefined ? undefined : explainReply(rules, event, reply, who)
  const exitcode = answered?.exitcode
  return {
    ...(asked === undefined ? {} : { request: asked.line }),
    ...(answered === undefined ? {} : { reply: answered.reply }),
    ...(exitcode === undefined ? {} : { exitcode }),
    trace: [
      ...(asked?.trace ?? []).map((step) => stepOf(set, step, 'request')),
      ...(answered?.trace ?? []).map((step) => stepOf(set, step, 'reply')),
    ],
  }
}

function stepOf(
  { rules }: RuleSet,
  { rule: index, matched, before, after }: TraceStep,
  what: 'request' | 'reply',
): RuleStep {
  const rule = rules[index]
  const exits = what === 'reply' && matched && rule?.exitcode !== undefined
  return {
    rule: rule?.text ?? '',
    line: rule?.line ?? 0,
    matched,
    before: { [what]: before },
    after: { [what]: after, ...(exits ? { exitcode: rule.exitcode } : {}) },
  }
}
