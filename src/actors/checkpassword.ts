// checkpassword asks the helper for a process and turns its answer into a verdict. Acceptance is the helper's line `ok`,
// written by checknotroot, and nothing else.

import { NO_BYTES } from '../protocol/bytes.ts'
import { type CheckpasswordEffect, log, type Step, send } from './effects.ts'
import { type AnswerFrame, type GuestFrame, type LoginFrame, TAG, type Verdict } from './frames.ts'

export interface CheckpasswordState {
  readonly user: string
}

export const newCheckpassword: CheckpasswordState = { user: '' }

export function checkpassword(
  state: CheckpasswordState,
  frame: LoginFrame | GuestFrame | AnswerFrame,
): Step<CheckpasswordState, CheckpasswordEffect> {
  switch (frame[0]) {
    case TAG.login: {
      const [, , user, credentials, mechanism] = frame
      return {
        state: { user },
        effects: [
          log('login-attempt', user),
          { do: 'ask-helper', kind: mechanism === 'EXTERNAL' ? 'certificate' : 'auth', user, mechanism, credentials },
        ],
      }
    }
    case TAG.guest:
      return {
        state: { user: '' },
        effects: [{ do: 'ask-helper', kind: 'guest', user: '', mechanism: '', credentials: NO_BYTES }],
      }
    case TAG.answer: {
      const [, session, is, code, text] = frame
      return { state, effects: [send([TAG.verdict, session, verdictOf(is, code), code, state.user, text])] }
    }
  }
}

/** Exit codes of checkpassword(8) that say something; any other one before acceptance is a crash. */
const BY_EXIT: Readonly<Record<number, Verdict>> = { 1: 'refused', 2: 'misused', 111: 'tempfail' }

/** Of a whole classic chain, run to its end, these mean what they mean to authup; any other one is its own exit code. */
const BY_CHAIN_EXIT: Readonly<Record<number, Verdict>> = { ...BY_EXIT, 16: 'ended-timeout', 18: 'ended-control' }

const BY_STATUS: Readonly<Record<Exclude<AnswerFrame[2], 'exit' | 'chain-exit'>, Verdict>> = {
  ok: 'accepted',
  root: 'root',
  blocked: 'blocked',
  limited: 'limited',
  'in-use': 'in-use',
  signal: 'crashed',
  timeout: 'timeout',
  busy: 'busy',
  missing: 'missing',
  unreachable: 'unreachable',
}

export function verdictOf(is: AnswerFrame[2], code: number): Verdict {
  if (is === 'exit') return BY_EXIT[code] ?? 'crashed'
  if (is === 'chain-exit') return BY_CHAIN_EXIT[code] ?? 'ended'
  return BY_STATUS[is]
}
