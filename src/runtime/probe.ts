// Runs a backend that needs no login, and asks it for its EHLO.

import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import { failure } from '../contract/failure.ts'
import type { Backend, BackendListener } from '../edge/backend.ts'
import { askHelper } from '../edge/helper.ts'
import { NO_BYTES } from '../protocol/bytes.ts'
import type { HelperPlace } from '../protocol/helper.ts'
import { noReply, replyCode, takeReplies } from '../protocol/replies.ts'

const PROBE_MILLISECONDS = 30_000

/** What it was asked: its greeting came by itself. */
export type Told = Result<{ readonly greeting: string; readonly ehlo: string }, RpcFailure>

/** `me` is what it is told that we are. */
export function askBackend(place: HelperPlace, chain: string, me: string): Promise<Told> {
  const session = `probe.${Date.now().toString(36)}`
  const request = { kind: 'guest' as const, session, chain, environment: [], credentials: NO_BYTES }
  return new Promise((resolve) => {
    let opened: Backend | undefined
    const done = (told: Told) => {
      clearTimeout(timer)
      opened?.discard()
      resolve(told)
    }
    const giveUp = askHelper(
      place,
      request,
      (status, backend, rest) => {
        if (backend === undefined) {
          done(err(failure('helper-unavailable', status.is, `the helper answered: ${status.is}`)))
          return
        }
        opened = backend
        const probing = new Probing(backend, me, done)
        backend.handTo(probing)
        probing.fromBackend(rest)
      },
      undefined,
    )
    const timer = setTimeout(() => {
      giveUp()
      done(err(failure('timeout', 'backend-silent', `the backend of ${chain} did not answer in time`)))
    }, PROBE_MILLISECONDS)
  })
}

class Probing implements BackendListener {
  private replies = noReply
  private readonly heard: string[] = []
  private readonly backend: Backend
  private readonly me: string
  private readonly done: (told: Told) => void

  constructor(backend: Backend, me: string, done: (told: Told) => void) {
    this.backend = backend
    this.me = me
    this.done = done
  }

  fromBackend(bytes: Uint8Array): void {
    const { replies, buffer, nonsense } = takeReplies(this.replies, bytes)
    this.replies = buffer
    for (const reply of replies) this.hear(reply)
    if (nonsense !== '') this.refused(nonsense)
  }

  private hear(reply: string): void {
    if (Math.floor(replyCode(reply) / 100) !== 2) {
      this.refused(reply)
      return
    }
    this.heard.push(reply)
    const next = [`EHLO ${this.me}\r\n`, 'QUIT\r\n'][this.heard.length - 1]
    if (next === undefined) this.backendEnded()
    else this.backend.stream.write(next, 'latin1')
  }

  private refused(said: string): void {
    this.done(err(failure('wrong-state', 'backend-refused', `the backend said: ${said.trim()}`)))
  }

  /** At its end, or when it has answered everything. */
  backendEnded(): void {
    const [greeting = '', ehlo] = this.heard
    if (ehlo !== undefined) this.done(ok({ greeting: greeting.trim(), ehlo }))
    else this.done(err(failure('wrong-state', 'backend-ended', 'the backend ended before it answered EHLO')))
  }

  backendDrained(): void {}
}
