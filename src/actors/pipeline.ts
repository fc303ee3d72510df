// START HERE. One session, its stages as actors, in one lane:
//
//   client ══ socket ══> [ reup ── authup ── checkpassword ]   until the backend stands behind the stream, then
//   client ══ socket ══> [ fixsmtpio ] <══ backend stream      message bodies and POP3 after login are spliced, socket to stream
//
// An actor is a name, the frames it accepts, and one pure function (state, frame) -> { state, effects }.
// The frames are in frames.ts, the effects in effects.ts; runtime/stages.ts carries frames, edge/ performs effects.

import { type AuthupFrame, type AuthupState, authup } from './authup.ts'
import { type CheckpasswordState, checkpassword } from './checkpassword.ts'
import type { Step } from './effects.ts'
import { type FixsmtpioFrame, type FixsmtpioState, fixsmtpio } from './fixsmtpio.ts'
import {
  type AnswerFrame,
  type Frame,
  type GuestFrame,
  type LoginFrame,
  type StartFrame,
  TAG,
  type Tag,
  type VerdictFrame,
} from './frames.ts'
import { type ReupState, reup } from './reup.ts'

export type ActorName = 'reup' | 'authup' | 'checkpassword' | 'fixsmtpio'

/** Who hears a frame. `front` is whoever talks to the client: authup, and fixsmtpio once the backend serves. */
export const ROUTES: Readonly<Record<Tag, ActorName | 'front'>> = {
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
}

/** The states of one session's actors; fixsmtpio is made when the backend serves. */
export interface Actors {
  reup: ReupState
  authup: AuthupState
  checkpassword: CheckpasswordState
  fixsmtpio: FixsmtpioState | undefined
}

/** Hands a frame to the actor that hears it and keeps the actor's next state. */
export function receive(actors: Actors, name: ActorName, frame: Frame): Step<unknown>['effects'] {
  switch (name) {
    case 'reup': {
      const step = reup(actors.reup, frame as StartFrame | VerdictFrame)
      actors.reup = step.state
      return step.effects
    }
    case 'authup': {
      const step = authup(actors.authup, frame as AuthupFrame)
      actors.authup = step.state
      return step.effects
    }
    case 'checkpassword': {
      const step = checkpassword(actors.checkpassword, frame as LoginFrame | GuestFrame | AnswerFrame)
      actors.checkpassword = step.state
      return step.effects
    }
    case 'fixsmtpio': {
      if (actors.fixsmtpio === undefined) return []
      const step = fixsmtpio(actors.fixsmtpio, frame as FixsmtpioFrame)
      actors.fixsmtpio = step.state
      return step.effects
    }
  }
}
