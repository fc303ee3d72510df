// START HERE. One session, its stages as actors, in one lane:
//
//   client ══ socket ══> [ reup ── authup ── checkpassword ]   until the stream is the backend's, then
//   client ══ socket ══> [ fixsmtpio ] <══ backend stream      message bodies and POP3 after login are spliced, socket to stream
//
// An actor is a name, the frames it accepts, and one pure function (state, frame) -> { state, effects }.
// The frames are in frames.ts, the effects in effects.ts; session/stages.ts carries frames, session/ performs effects.

import { authup } from './authup.ts'
import type { AuthupState } from './authup-state.ts'
import { type CheckpasswordState, checkpassword } from './checkpassword.ts'
import { type Effect, NOTHING } from './effects.ts'
import { type FixsmtpioState, fixsmtpio } from './fixsmtpio.ts'
import { type Frame, TAG } from './frames.ts'
import { type ReupState, reup } from './reup.ts'

export type ActorName = 'reup' | 'authup' | 'checkpassword' | 'fixsmtpio'

/** Who talks to the client: authup, and fixsmtpio once the backend serves. */
export type Front = Extract<ActorName, 'authup' | 'fixsmtpio'>

/** The states of one session's actors; fixsmtpio is made when the backend serves. */
export interface Actors {
  reup: ReupState
  authup: AuthupState
  checkpassword: CheckpasswordState
  fixsmtpio: FixsmtpioState | undefined
}

/** Who hears a frame. */
export const ROUTES = {
  [TAG.start]: 'reup',
  [TAG.attempt]: 'authup',
  [TAG.input]: 'authup',
  [TAG.eof]: 'front',
  [TAG.timeout]: 'front',
  [TAG.tls]: 'front',
  [TAG.login]: 'checkpassword',
  [TAG.guest]: 'checkpassword',
  [TAG.answer]: 'checkpassword',
  [TAG.verdict]: 'reup',
  [TAG.outcome]: 'authup',
  [TAG.serve]: 'fixsmtpio',
  [TAG.request]: 'fixsmtpio',
  [TAG.backend]: 'fixsmtpio',
  [TAG.backendEnd]: 'fixsmtpio',
  [TAG.bodyEnd]: 'fixsmtpio',
  [TAG.shutdown]: 'front',
  [TAG.limits]: 'fixsmtpio',
  [TAG.described]: 'authup',
} as const satisfies Readonly<Record<Frame[0], ActorName | 'front'>>

/** Hands a frame to the actor that ROUTES names and keeps the actor's next state. */
export function receive(actors: Actors, front: Front, frame: Frame): readonly Effect[] {
  switch (frame[0]) {
    case TAG.start:
    case TAG.verdict: {
      const step = reup(actors.reup, frame)
      actors.reup = step.state
      return step.effects
    }
    case TAG.attempt:
    case TAG.input:
    case TAG.outcome:
    case TAG.described:
      return toAuthup(actors, frame)
    case TAG.login:
    case TAG.guest:
    case TAG.answer: {
      const step = checkpassword(actors.checkpassword, frame)
      actors.checkpassword = step.state
      return step.effects
    }
    case TAG.serve:
    case TAG.request:
    case TAG.backend:
    case TAG.backendEnd:
    case TAG.bodyEnd:
    case TAG.limits:
      return toFixsmtpio(actors, frame)
    case TAG.eof:
    case TAG.timeout:
    case TAG.tls:
    case TAG.shutdown:
      return front === 'authup' ? toAuthup(actors, frame) : toFixsmtpio(actors, frame)
  }
}

function toAuthup(actors: Actors, frame: Parameters<typeof authup>[1]): readonly Effect[] {
  const step = authup(actors.authup, frame)
  actors.authup = step.state
  return step.effects
}

function toFixsmtpio(actors: Actors, frame: Parameters<typeof fixsmtpio>[1]): readonly Effect[] {
  if (actors.fixsmtpio === undefined) return NOTHING
  const step = fixsmtpio(actors.fixsmtpio, frame)
  actors.fixsmtpio = step.state
  return step.effects
}
