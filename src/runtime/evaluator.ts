// rules.eval in a thread of its own: whatever is asked, neither the main thread nor a lane waits for it, and it ends after a second.

import { Worker } from 'node:worker_threads'
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure, RuleEvaluation } from '../contract/daemon.ts'
import { failure } from '../contract/failure.ts'
import { type Evaluated, type Evaluation, STEPS } from './evaluating.ts'

const PATIENCE_MILLISECONDS = 2000
/** Questions that may wait for their turn. */
const WAITING = 32
const HEAP_MB = 512

/** No answer: it took too long, or its thread ended. */
type Cut = 'late' | 'ended'

export type Evaluate = (
  question: Evaluation & { readonly rules: string },
) => Promise<Result<RuleEvaluation, RpcFailure>>

export function createEvaluator(): Evaluate {
  let worker: Worker | undefined
  /** What the thread has parsed last. */
  let known: string | undefined
  let waiting = 0
  let turn: Promise<unknown> = Promise.resolve()

  function end(): void {
    void worker?.terminate()
    worker = undefined
    known = undefined
  }

  function ask(question: Evaluation & { readonly rules: string }): Promise<Evaluated | Cut> {
    worker ??= started()
    const rules = question.rules === known ? undefined : question.rules
    known = question.rules
    const thread = worker
    return new Promise((resolve) => {
      const over = (answer: Evaluated | Cut) => {
        clearTimeout(timer)
        thread.off('message', over).off('error', ended).off('exit', ended)
        if (typeof answer === 'string') end()
        resolve(answer)
      }
      const ended = () => over('ended')
      const timer = setTimeout(() => over('late'), PATIENCE_MILLISECONDS)
      thread.on('message', over)
      // Out of memory, for one.
      thread.on('error', ended)
      thread.on('exit', ended)
      thread.postMessage({ ...question, rules })
    })
  }

  return async (question) => {
    if (waiting >= WAITING) return err(failure('busy', 'too-many-evaluations', `${WAITING} evaluations wait already`))
    waiting += 1
    const mine = turn.then(() => ask(question))
    turn = mine
    const answer = await mine
    waiting -= 1
    if (answer === 'late') return err(tooMuch(`it took longer than ${PATIENCE_MILLISECONDS / 1000} s`))
    if (answer === 'ended') return err(tooMuch('the thread that answers ended, as it does when memory runs out'))
    if (answer.is === 'done') return ok(answer.result)
    if (answer.is === 'too-much') return err(tooMuch(`it may take ${answer.steps} steps, of ${STEPS}`))
    return err(failure('config-invalid', 'config-invalid', 'the text has errors', { errors: answer.errors }))
  }
}

function started(): Worker {
  const worker = new Worker(new URL('../runtime/evaluating.js', import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  })
  // One that ends between two questions ends nothing else.
  worker.on('error', () => undefined)
  worker.unref()
  return worker
}

const tooMuch = (why: string): RpcFailure =>
  failure('invalid-params', 'too-much-work', `The rules, the request or the reply are too long together: ${why}`)
