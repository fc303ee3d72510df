// The control plane's view of the sessions: those of all lanes, page by page; ended or followed.

import { ok } from 'neverthrow'
import type { Daemon } from '../../contract/daemon.ts'
import { notFound } from '../../contract/failure.ts'
import { mergePages } from '../../contract/pages.ts'
import type { Runtime } from '../runtime.ts'

export const sessionsOf = (runtime: Runtime): Daemon['sessions'] => ({
  async query(query) {
    const { answers, silent } = await runtime.askAll('sessions', query)
    const sessions = answers.flatMap((answer) => answer.sessions)
    return {
      sessions: mergePages(sessions, query),
      matched: answers.reduce((sum, answer) => sum + answer.matched, 0),
      silentLanes: silent,
    }
  },
  async get(id) {
    const { answers } = await runtime.askAll('session', { id })
    const found = answers.find((answer) => answer !== null)
    return found ? ok(found) : notFound('no-such-session', `there is no session ${id}`)
  },
  async kill({ filter, mode, reason = '' }) {
    const asked = { filter, graceful: mode === 'graceful', reason, now: Date.now() }
    const { answers, silent } = await runtime.askAll('kill', asked)
    return { ids: answers.flat(), silentLanes: silent }
  },
  trace: (of, listener) =>
    runtime.trace(of, (lines) => {
      for (const line of lines) listener(line)
    }),
})
