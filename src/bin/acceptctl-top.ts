// acceptctl top on a terminal: keys in, pictures out, and the terminal as it was whatever ends it.
import { err, ok, type Result } from 'neverthrow'
import { cell, isRecord } from '../rpc/show.ts'
import { type Look, sessionsOf, type TopCounters, type TopInput, topCounters, topPicture, topRows } from '../rpc/top.ts'
import { keysIn, newTop, settled, type TopAction, type TopState, topKey } from '../rpc/top-keys.ts'

export interface TopOrder {
  /** Seconds between two pictures. */
  readonly interval: number
  readonly once: boolean
  readonly sort: string | undefined
  readonly reverse: boolean
  readonly colours: boolean
}

/** Asks the daemon. */
export type Ask<P> = (method: string, params: object) => Promise<Result<unknown, P>>

/** What a page of session.list may have. */
const MOST = 1000
const FIELDS = ['user', 'ip', 'state', 'started', 'idle', 'messages', 'bytesIn', 'bytesOut', 'lastVerb']

async function fetchInput<P>(ask: Ask<P>, state: TopState, limit: number): Promise<Result<TopInput, P>> {
  const { sort, descending } = state
  const answers = await Promise.all([
    ask('server.info', {}),
    ask('server.stats', {}),
    ask('lane.list', {}),
    ask('session.list', { sort, descending, fields: FIELDS, limit: Math.max(1, Math.min(MOST, limit)) }),
    ask('limit.list', {}),
  ])
  const failed = answers.find((answer) => answer.isErr())
  if (failed?.isErr()) return err(failed.error)
  const [info, stats, lanes, sessions, limits] = answers.map((answer) => answer.unwrapOr(undefined))
  return ok({ info, stats, lanes, sessions, limits })
}

/** One picture of 80 columns, for a pipe. */
export async function topOnce<P>(ask: Ask<P>, { sort, reverse }: TopOrder): Promise<Result<string, P>> {
  const input = await fetchInput(ask, newTop(sort, reverse), MOST)
  const view = { width: 80, height: MOST, look: 'plain', state: undefined } as const
  return input.map(
    (all) => `${topPicture(all, undefined, topCounters(all.stats, performance.now()), view).join('\n')}\n`,
  )
}

/** The other screen without a cursor and without wrapping, keys as they come; and back. */
function openScreen(hear: (event: 'resumed' | 'resized' | 'ended' | { readonly keys: string }) => void) {
  const { stdin, stdout } = process
  let isOpen = false
  const enter = (): void => {
    isOpen = true
    stdout.write('\u001B[?1049h\u001B[?25l\u001B[?7l')
    if (stdin.isTTY) stdin.setRawMode(true)
  }
  const leave = (): void => {
    if (!isOpen) return
    isOpen = false
    if (stdin.isTTY) stdin.setRawMode(false)
    stdout.write('\u001B[?7h\u001B[?25h\u001B[?1049l')
  }
  const suspend = (): void => {
    leave()
    process.kill(process.pid, 'SIGSTOP')
  }
  process.on('exit', leave)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => hear('ended'))
  process.on('SIGTSTP', suspend)
  process.on('SIGCONT', () => {
    enter()
    hear('resumed')
  })
  stdout.on('resize', () => hear('resized'))
  stdin.on('data', (data: Buffer) => hear({ keys: data.toString() }))
  enter()
  return { leave, suspend }
}

const lookOf = (colours: boolean): Look => (colours ? 'colour' : 'mono')

/** Until somebody quits, or acceptd cannot be asked any more. */
export function topLive<P>(ask: Ask<P>, order: TopOrder): Promise<Result<undefined, P>> {
  const { stdout, stdin } = process
  let state = newTop(order.sort, order.reverse)
  let input: TopInput | undefined
  let counters: { readonly before: TopCounters | undefined; readonly now: TopCounters } | undefined
  let asking = false
  let again = false
  let timer: NodeJS.Timeout | undefined
  return new Promise((resolve) => {
    const end = (result: Result<undefined, P>): void => {
      clearTimeout(timer)
      screen.leave()
      stdin.pause()
      resolve(result)
    }
    const view = () => ({ width: stdout.columns, height: stdout.rows, look: lookOf(order.colours), state })
    const rows = () => (input === undefined ? stdout.rows : topRows(input, view()))
    const draw = (): void => {
      if (input === undefined || counters === undefined) return
      state = settled(state, sessionsOf(input), rows())
      const lines = topPicture(input, counters.before, counters.now, view()).map((text) => `${text}\u001B[K`)
      stdout.write(`\u001B[H${lines.join('\r\n')}\u001B[J`)
    }
    const refresh = async (): Promise<void> => {
      again = asking
      if (asking) return
      asking = true
      clearTimeout(timer)
      // What is above the first one shown is needed, too: pages begin at the top.
      const answer = await fetchInput(ask, state, state.first + state.at + 2 * stdout.rows)
      asking = false
      if (answer.isErr()) {
        end(err(answer.error))
        return
      }
      input = answer.value
      counters = { before: counters?.now, now: topCounters(input.stats, performance.now()) }
      draw()
      if (again) void refresh()
      else timer = setTimeout(() => void refresh(), order.interval * 1000)
    }
    const kill = async (id: string): Promise<void> => {
      const answer = await ask('session.kill', { id, reason: 'acceptctl top' })
      const killed = answer.isOk() && isRecord(answer.value) ? answer.value['killed'] : undefined
      const message = answer.isErr()
        ? problemText(answer.error)
        : killed === 0
          ? 'is gone already'
          : '421 at its next boundary'
      state = { ...state, message: `Session ${id}: ${message}` }
      await refresh()
    }
    const carryOut = (action: TopAction): void => {
      if (action.do === 'draw') draw()
      else if (action.do === 'ask') void refresh()
      else if (action.do === 'suspend') screen.suspend()
      else if (action.do === 'quit') end(ok(undefined))
      else void kill(action.id)
    }
    const screen = openScreen((event) => {
      if (event === 'ended') end(ok(undefined))
      else if (typeof event === 'string') void refresh()
      else
        for (const key of keysIn(event.keys)) {
          const step = topKey(state, key, input === undefined ? [] : sessionsOf(input), rows())
          state = step.state
          carryOut(step.action)
        }
    })
    void refresh()
  })
}

/** Whatever the client calls a problem, its message. */
function problemText(problem: unknown): string {
  const error = isRecord(problem) && isRecord(problem['error']) ? problem['error'] : problem
  return isRecord(error) && error['message'] !== undefined ? cell(error['message']) : 'acceptd did not answer'
}
