// The control plane's view of the rules: those of a generation, and what they would do.

import { err, ok, type Result } from 'neverthrow'
import { type Config, compileConfig, rulesText } from '../../config/config.ts'
import type { StoredGeneration } from '../../config/generations.ts'
import type { ControlTexts } from '../../config/knobs.ts'
import type { Daemon, RpcFailure } from '../../contract/daemon.ts'
import { notFound } from '../../contract/failure.ts'
import { promisesStatus } from '../../protocol/status.ts'
import type { Identity } from '../../rules/fixups.ts'
import { rulesIn } from '../../rules/parse.ts'
import { createEvaluator, type Evaluate } from '../evaluator.ts'
import type { Runtime } from '../runtime.ts'
import { usesOf } from './uses.ts'

export function rulesOf(runtime: Runtime): Daemon['rules'] {
  const evaluate = createEvaluator()
  return methodsOf(runtime, evaluate)
}

const methodsOf = (runtime: Runtime, evaluate: Evaluate): Daemon['rules'] => ({
  async list(generation) {
    const stored = generationOf(runtime, generation)
    if (stored.isErr()) return err(stored.error)
    const { generation: number, sha256, config } = stored.value
    const { hits } = await usesOf(runtime)
    const rules = rulesIn(config.rules).map(({ line, text, event }) => {
      const hit = hits.get(text)
      return { line, text, event, hits: hit?.count ?? 0, ...(hit === undefined ? {} : { lastHit: hit.last }) }
    })
    return ok({ generation: number, sha256, rules })
  },
  evaluate: async ({ event, request, reply, env, generation, text }) => {
    const stored = generationOf(runtime, generation)
    if (stored.isErr()) return err(stored.error)
    const rules = text ?? rulesText(stored.value.texts)
    const who = identityOf(stored.value)
    return evaluate({ rules, who, event, request, reply, set: Object.keys(env ?? {}) })
  },
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

const identityOf = ({ config: { smtpGreeting, smtpCapabilities } }: StoredGeneration): Identity => ({
  greeting: smtpGreeting,
  tls: 'none',
  classic: false,
  enhanced: promisesStatus(smtpCapabilities),
})
