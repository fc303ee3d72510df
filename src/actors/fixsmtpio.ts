// fixsmtpio sits between the client and the backend after login: it puts requests and replies through the session's rules,
// pairs them under pipelining, and lets message bodies go by without looking at them.
//
//   client ── fixsmtpio-requests ──> backend ── fixsmtpio-replies ──> client        fixsmtpio-state: what both know
//                                                                                   fixsmtpio-ends: silence, ends of file

import { copyOf } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import type { BodyFault } from '../protocol/end-of-data.ts'
import { type FixsmtpioEffect, log, NOTHING, type Step, say } from './effects.ts'
import { chunkEnded } from './fixsmtpio-chunks.ts'
import { backendEnded, clientEnded, timedOut } from './fixsmtpio-ends.ts'
import { resume, takeBackend } from './fixsmtpio-replies.ts'
import { takeRequests } from './fixsmtpio-requests.ts'
import {
  atBoundary,
  type Draft,
  draftOf,
  end,
  type FixsmtpioState,
  GREETING,
  NOT_NOW,
  own,
  SAYS,
  SECOND_GREETING,
} from './fixsmtpio-state.ts'
import {
  type BackendEndFrame,
  type BackendFrame,
  type BodyEndFrame,
  type EofFrame,
  type LimitsFrame,
  type RequestFrame,
  type ServeFrame,
  type ShutdownFrame,
  TAG,
  type TimeoutFrame,
  type TlsFrame,
} from './frames.ts'

export { type FixsmtpioSettings, type FixsmtpioState, NO_ASKS, newFixsmtpio } from './fixsmtpio-state.ts'

export type FixsmtpioFrame =
  | ServeFrame
  | RequestFrame
  | BackendFrame
  | BackendEndFrame
  | BodyEndFrame
  | EofFrame
  | TimeoutFrame
  | TlsFrame
  | ShutdownFrame
  | LimitsFrame

export function fixsmtpio(before: FixsmtpioState, frame: FixsmtpioFrame): Step<FixsmtpioState, FixsmtpioEffect> {
  if (before.at === 'over') return { state: before, effects: NOTHING }
  const state = draftOf(before)
  const effects: FixsmtpioEffect[] = []
  switch (frame[0]) {
    case TAG.serve:
      serve(state, frame)
      break
    case TAG.request:
      takeRequests(state, frame[2], effects)
      break
    case TAG.backend:
      takeBackend(state, frame[2], effects)
      break
    case TAG.bodyEnd:
      bodyEnded(state, frame[2], frame[3], effects)
      break
    case TAG.eof:
      clientEnded(state, frame[1], effects)
      break
    case TAG.backendEnd:
      backendEnded(state, frame[2], effects)
      break
    case TAG.timeout:
      timedOut(state, effects)
      break
    case TAG.tls:
      tlsStarted(state, frame[2], effects)
      break
    case TAG.limits:
      state.asking = false
      state.allowance = frame[2]
      resume(state, effects)
      break
    case TAG.shutdown:
      state.shutdown = frame[2]
      atBoundary(state, effects)
      break
  }
  return { state, effects }
}

function serve(state: Draft, [, , guest, replay, pending]: ServeFrame): void {
  const { introduced } = state.settings
  state.at = 'greeting'
  state.guest = guest
  state.rest = copyOf(pending)
  // A guest has been greeted by authup: the backend's own greeting is swallowed unless it refuses.
  state.awaited = [guest ? SECOND_GREETING : GREETING]
  if (introduced === '') {
    state.replay = replay
    return
  }
  const { verb, argument } = splitCommand(replay)
  state.introduction = { verb, name: argument, reply: introduced }
}

function bodyEnded(state: Draft, rest: Uint8Array, fault: BodyFault, effects: FixsmtpioEffect[]): void {
  if (fault !== 'none') {
    effects.push(log(fault), say(own(state, SAYS[fault])))
    end(state, effects, NOT_NOW, fault)
  } else if (state.at !== 'ending') {
    state.at = 'commands'
    state.rest = copyOf(rest)
    if (state.relay !== 'no') chunkEnded(state, effects)
    resume(state, effects)
  }
}

function tlsStarted(state: Draft, on: boolean, effects: FixsmtpioEffect[]): void {
  if (!on) {
    effects.push(log('tls-failed'), say(own(state, SAYS.tlsFailed)))
    end(state, effects, 1, 'tls-failed')
    return
  }
  state.at = 'commands'
  state.tlsOn = true
  state.awaited = [SECOND_GREETING]
  state.transaction = false
  state.chunking = false
  state.auth = false
  state.relay = 'no'
  effects.push({ do: 'room' })
}
