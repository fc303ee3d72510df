// Conversations with the classic programs: the steps, and a player that insists on each of them.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Case, Result, Step } from '../conformance/case.ts'
import { play } from '../conformance/replay.ts'

const top = fileURLToPath(new URL('../../..', import.meta.url))
export const bin = join(top, 'dist/programs')

export const C = (send: string): Step => ({ send })
export const S = (expect: string): Step => ({ expect })
export const settled: Step = { settled: true }
export const eof: Step = { eof: true }

export const hello = S('220 backend ESMTP\r\n')
export const bye: readonly Step[] = [C('QUIT\r\n'), S('221 me.example\r\n')]

/** What a UCSPI-TLS parent answers on the control descriptor. */
export const TLS_ANSWER = 'SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=X\0SSL_CLIENT_S_DN=/CN=a b\0\0'

/** The outcome. */
export async function playAll(played: Omit<Case, 'name' | 'result'>): Promise<Result> {
  const NOTHING: Result = { exit: 0, stdout: '', stderr: '' }
  const { trouble, result } = await play(
    { ...played, name: 'a dialogue', result: NOTHING },
    bin,
    join(top, 'dist/test/conformance/fakes.js'),
  )
  assert.deepEqual(trouble, [], JSON.stringify(result))
  return result
}
