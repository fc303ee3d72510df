// The control plane's view of the users: who is logged in, who is blocked, and whether a password is right.

import { err, ok, type Result } from 'neverthrow'
import { verdictOf } from '../../actors/checkpassword.ts'
import type { Verdict } from '../../actors/frames.ts'
import type { AuthOutcome, AuthQuestion, Daemon, RpcFailure, UserState } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import type { Backend } from '../../edge/backend.ts'
import { monotonic } from '../../edge/clock.ts'
import { askHelper } from '../../edge/helper.ts'
import { bytesOf, concat } from '../../protocol/bytes.ts'
import type { HelperStatus } from '../../protocol/helper.ts'
import type { Block } from '../memory.ts'
import type { Runtime } from '../runtime.ts'

/** A login may take this long, checkpassword's own 30 seconds included. */
const LOGIN_MILLISECONDS = 35_000

export const usersOf = (runtime: Runtime): Daemon['users'] => ({
  async list() {
    const { answers, silent } = await runtime.askAll('users', null)
    return { users: withBlocks(answers.flat(), runtime.blocks()), silentLanes: silent }
  },
  async block(user, reason) {
    const since = runtime.blocks().get(user)?.since ?? Date.now()
    const ended = await runtime.block(user, { since, reason })
    runtime.forgetVerified()
    runtime.log('warn', 'user-blocked', { user, reason, ended: ended.length })
    return ok({ ended })
  },
  async unblock(user) {
    if (!runtime.blocks().has(user)) return notFound('not-blocked', `${user} is not blocked`)
    await runtime.block(user, undefined)
    runtime.log('info', 'user-unblocked', { user })
    return ok(undefined)
  },
})

interface Row {
  readonly user: string
  readonly sessions: number
  readonly messages: number
}

function withBlocks(rows: readonly Row[], blocks: ReadonlyMap<string, Block>): readonly UserState[] {
  const users = new Map<string, Row>([...blocks.keys()].map((user) => [user, { user, sessions: 0, messages: 0 }]))
  for (const { user, sessions, messages } of rows) {
    const before = users.get(user)
    const sum = { sessions: sessions + (before?.sessions ?? 0), messages: messages + (before?.messages ?? 0) }
    users.set(user, { user, ...sum })
  }
  return [...users.values()].map((row) => {
    const block = blocks.get(row.user)
    if (block === undefined) return row
    const { since, reason } = block
    return { ...row, blocked: { since, ...(reason === undefined ? {} : { reason }) } }
  })
}

export const authOf = (runtime: Runtime): Daemon['auth'] => ({
  test(question) {
    const { chains, listeners } = runtime.current().config
    const chain = question.chain ?? listeners.find(({ protocol }) => protocol === question.protocol)?.chain ?? ''
    if (!chains.chains.some((one) => one.name === chain && one.kind === 'auth'))
      return notFound('no-such-chain', `there is no chain ${chain} of kind auth`)
    if (runtime.blocks().has(question.user)) return ok({ verdict: 'blocked', chain, milliseconds: 0 })
    return tryLogin(runtime, chain, question)
  },
})

function tryLogin(
  { options }: Runtime,
  chain: string,
  { user, password }: AuthQuestion,
): Promise<Result<AuthOutcome, RpcFailure>> {
  const began = monotonic()
  const credentials = concat([bytesOf(`${user}\0`), password, bytesOf('\0\0')])
  const session = `test.${Date.now().toString(36)}`
  const request = { kind: 'auth' as const, session, chain, environment: [], credentials }
  return new Promise((resolve) => {
    const answered = (status: HelperStatus, backend: Backend | undefined) => {
      clearTimeout(timer)
      backend?.discard()
      resolve(outcomeOf(status, chain, Math.round((monotonic() - began) * 10) / 10))
    }
    const giveUp = askHelper(options.helper.place, request, answered, undefined)
    const timer = setTimeout(giveUp, LOGIN_MILLISECONDS)
  })
}

function outcomeOf(status: HelperStatus, chain: string, milliseconds: number): Result<AuthOutcome, RpcFailure> {
  const verdict = VERDICTS[verdictOf(status.is, 'code' in status ? status.code : -1)]
  if (verdict === undefined) {
    const text = 'text' in status ? `${status.is} ${status.text}` : status.is
    return err(failure('helper-unavailable', status.is, `the helper answered: ${text}`))
  }
  const account = status.is === 'ok' ? { uid: status.accepted.uid, gid: status.accepted.gid } : {}
  return ok({ verdict, chain, ...account, milliseconds })
}

/** As auth.test says it; a verdict that is not here says nothing about the password. */
const VERDICTS: Partial<Record<Verdict, AuthOutcome['verdict']>> = {
  accepted: 'accepted',
  refused: 'refused',
  root: 'refused',
  misused: 'misused',
  tempfail: 'tempfail',
  crashed: 'crashed',
  timeout: 'timeout',
  blocked: 'blocked',
}
