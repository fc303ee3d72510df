// reup owns the attempts of a session: it starts authup, takes checkpassword's verdicts, counts tries.

import { type LogEvent, log, type ReupEffect, type Step, send } from './effects.ts'
import { type StartFrame, TAG, type Verdict, type VerdictFrame } from './frames.ts'

export interface ReupState {
  /** Attempts left in the session. */
  readonly tries: number
}

/** Only a wrong password costs a try; what is our own trouble does not. */
const COSTS_A_TRY: Readonly<Record<Verdict, boolean>> = {
  accepted: false,
  refused: true,
  misused: true,
  root: true,
  blocked: true,
  limited: true,
  'in-use': true,
  tempfail: false,
  crashed: false,
  timeout: false,
  missing: false,
  busy: false,
  unreachable: false,
  ended: false,
  'ended-timeout': false,
  'ended-control': false,
}

const FAILED_EVENT: Partial<Record<Verdict, LogEvent>> = {
  root: 'login-root',
  blocked: 'login-blocked',
  limited: 'login-limited',
  'in-use': 'login-limited',
}

export const newReup = (tries: number): ReupState => ({ tries })

export function reup(state: ReupState, frame: StartFrame | VerdictFrame): Step<ReupState, ReupEffect> {
  if (frame[0] === TAG.start) return { state, effects: [send([TAG.attempt, frame[1], true])] }
  const [, session, verdict, exit, user, text] = frame
  if (COSTS_A_TRY[verdict]) {
    const tries = Math.max(0, state.tries - 1)
    return {
      state: { tries },
      effects: [
        log(FAILED_EVENT[verdict] ?? 'login-failed', user, tries, verdict, text),
        send([TAG.outcome, session, verdict, exit, tries > 0, text]),
      ],
    }
  }
  const event = verdict === 'accepted' ? 'login-accepted' : verdict === 'ended' ? 'chain-completed' : 'login-tempfail'
  return { state, effects: [log(event, user, exit, verdict), send([TAG.outcome, session, verdict, exit, true, text])] }
}
