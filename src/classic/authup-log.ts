// The lines that the program authup writes to standard error, as recorded from its original.

import type { LogEvent } from '../actors/effects.ts'
import { fieldsText } from '../edge/log.ts'
import type { ClassicAnswer } from './helper.ts'

/** What is known of the chain that was started last. */
export interface Attempt {
  readonly user: string
  readonly kind: 'auth' | 'guest'
  readonly pid: number
  readonly ended: ClassicAnswer | undefined
}

export const noAttempt: Attempt = { user: '', kind: 'auth', pid: 0, ended: undefined }

export const us = `authup ${process.pid}`
const checkpassword = ({ pid }: Attempt): string => `${us} checkpassword ${pid}`

/** A chain runs. Under reup the log is that of 2018. */
export const attemptLine = (attempt: Attempt, underReup: boolean): string =>
  underReup ? `authup: login attempt by ${attempt.user}` : `${checkpassword(attempt)} attempt for ${attempt.user}`

/** What became of an attempt. */
export function verdictLine(event: LogEvent, remaining: number, attempt: Attempt): string | undefined {
  const { ended } = attempt
  switch (event) {
    case 'login-failed':
    case 'login-root':
      return `${checkpassword(attempt)} failed, ${remaining} remaining`
    case 'chain-completed':
      return `${checkpassword(attempt)} succeeded, child completed`
    case 'login-tempfail':
      return ended?.is === 'exit' && ended.code === 111 ? `${checkpassword(attempt)} failed temporarily` : undefined
    default:
      return undefined
  }
}

/** What went wrong with TLS or with the mail program of a guest; `said` is the mail program's. */
export function faultLine(event: LogEvent, said: string): string | undefined {
  if (event === 'tls-failed') return `${us} TLS failed`
  if (event === 'ehlo-refused') return `${us} EHLO refused${fieldsText({ said })}`
  return said === '' ? undefined : `${us} mail program spoke nonsense${fieldsText({ said })}`
}
