// How a session ends that neither the client nor a rule has ended by a request: silence, either side's end of file, a message refused.

import { NO_BYTES, textOf } from '../protocol/bytes.ts'
import { rewriteReply } from '../rules/rewrite.ts'
import { type FixsmtpioEffect, log, say } from './effects.ts'
import { type Draft, end, type FixsmtpioState, mayPark, NOT_NOW, own, SAYS, toClient } from './fixsmtpio-state.ts'
import type { SessionId } from './frames.ts'

export function timedOut(state: Draft, effects: FixsmtpioEffect[]): void {
  effects.push(log('timeout'))
  // Run by itself the program has authup as its parent, which says what exit code 16 means: the event's rules decide, as for the backend's timeout.
  const told = state.settings.classic ? toClient(state, 'timeout', own(state, SAYS.timeout), effects) : undefined
  effects.push(say(told?.reply ?? own(state, SAYS.timeout)))
  end(state, effects, told?.exit ?? NOT_NOW, 'timeout')
}

export function clientEnded(state: Draft, session: SessionId, effects: FixsmtpioEffect[]): void {
  if (state.at === 'ending') return
  const waits = state.at === 'commands' ? state.held : state.at === 'quit' ? state.rest.length > 0 : state.at !== 'body'
  if (waits) {
    // What it sent before is still carried out (RFC 5321 section 3.8: a command that was sent may be waited for).
    state.eof = session
    return
  }
  if (state.at === 'commands' && state.rest.length === 0 && mayPark(state)) {
    end(state, effects, 0, 'client-eof', state.greeted)
    return
  }
  const { rules, greeting, classic } = state.settings
  const left = state.at === 'body' ? '' : textOf(state.rest)
  const who = { greeting, tls: 'none', classic, enhanced: state.enhanced } as const
  const { exitcode, hits } = rewriteReply(rules, 'clienteof', left, who)
  effects.push({ do: 'end-requests' })
  if (hits.length > 0) effects.push({ do: 'hits', rules: hits })
  // Replies in flight are still delivered; the session ends with the backend.
  state.at = 'ending'
  state.rest = NO_BYTES
  state.exit = exitcode
}

export function backendEnded(state: Draft, exit: number, effects: FixsmtpioEffect[]): void {
  const saidGoodbye = state.quit && state.awaited.length === 0
  if (exit < 256 && (state.at === 'ending' || saidGoodbye)) {
    end(state, effects, state.exit ?? Math.max(exit, 0), 'quit')
    return
  }
  const code = state.settings.loggedIn ? NOT_NOW : exit >= 256 ? 1 : (state.exit ?? Math.max(exit, 0))
  effects.push(log('backend-died'))
  if (!knows(state, saidGoodbye))
    effects.push(say(own(state, state.greeted === '' ? SAYS.noBackend : SAYS.backendDied)))
  end(state, effects, code, 'backend-died')
}

/** The client need not be told that the backend has ended. */
function knows({ settings, closing, at }: FixsmtpioState, saidGoodbye: boolean): boolean {
  return (settings.classic && !settings.loggedIn) || closing || at === 'ending' || saidGoodbye
}
