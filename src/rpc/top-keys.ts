// What the keys of `acceptctl top` do: pure, from a key and what is shown to the next state.
import { SESSION_SORTS, type SessionSort } from '../contract/pages.ts'
import { cell } from './show.ts'

type Session = Readonly<Record<string, unknown>>

export interface TopState {
  readonly sort: SessionSort
  readonly descending: boolean
  /** Index of the session under the cursor, among those that were fetched. */
  readonly at: number
  /** Its id: it keeps the cursor when the order changes. */
  readonly id: string | undefined
  /** Index of the first one shown. */
  readonly first: number
  /** The session that is to be ended, if the next key says so. */
  readonly ending: { readonly id: string; readonly question: string } | undefined
  /** What became of the last command. */
  readonly message: string
  readonly help: boolean
}

/** The longest first, for what has a length. */
export const SORT_KEYS: readonly { readonly key: string; readonly sort: SessionSort; readonly descending: boolean }[] =
  [
    { key: 'i', sort: 'idle', descending: true },
    { key: 't', sort: 'started', descending: false },
    { key: 'u', sort: 'user', descending: false },
    { key: 'a', sort: 'ip', descending: false },
    { key: 'm', sort: 'messages', descending: true },
    { key: 'b', sort: 'bytesIn', descending: true },
    { key: 'o', sort: 'bytesOut', descending: true },
    { key: 'd', sort: 'id', descending: false },
  ]

export const TOP_HELP: readonly string[] = [
  'Keys of acceptctl top',
  '',
  '  i t u a    sort by idle time, time of arrival, user, address',
  '  m b o d    sort by messages, octets in, octets out, id',
  '  r          reverse the order',
  '  arrows, PgUp, PgDn, Home, End    move the cursor',
  '  k          end the session under the cursor with 421, after a question',
  '  space      refresh now',
  '  q          quit',
  '',
  'acceptctl(1) has the rest. Any key goes back.',
]

export function newTop(sort: string | undefined, reverse: boolean): TopState {
  const known = SESSION_SORTS.find((one) => one === sort) ?? 'idle'
  const usual = SORT_KEYS.find((one) => one.sort === known)?.descending ?? false
  return {
    sort: known,
    descending: usual !== reverse,
    at: 0,
    id: undefined,
    first: 0,
    ending: undefined,
    message: '',
    help: false,
  }
}

const ESCAPE = '\u001b'
const KEYS = new RegExp(`${ESCAPE}\\[[\\d;]*[A-Za-z~]|${ESCAPE}O[A-Z]|[\\s\\S]`, 'gu')

/** The keys in what a terminal sends. */
export const keysIn = (input: string): readonly string[] => input.match(KEYS) ?? []

/** Rows to move by; a page is what is shown, less one. */
const MOVES: Readonly<Record<string, (page: number) => number>> = {
  '\u001b[A': () => -1,
  '\u001bOA': () => -1,
  '\u001b[B': () => 1,
  '\u001bOB': () => 1,
  '\u001b[5~': (page) => -page,
  '\u001b[6~': (page) => page,
  '\u001b[H': () => Number.NEGATIVE_INFINITY,
  '\u001bOH': () => Number.NEGATIVE_INFINITY,
  '\u001b[1~': () => Number.NEGATIVE_INFINITY,
  '\u001b[F': () => Number.POSITIVE_INFINITY,
  '\u001bOF': () => Number.POSITIVE_INFINITY,
  '\u001b[4~': () => Number.POSITIVE_INFINITY,
}

export type TopAction =
  | { readonly do: 'draw' }
  | { readonly do: 'ask' }
  | { readonly do: 'quit' }
  | { readonly do: 'suspend' }
  | { readonly do: 'kill'; readonly id: string }

export interface TopStep {
  readonly state: TopState
  /** draw: as it is; ask: the daemon again. */
  readonly action: TopAction
}

/** `rows`: how many sessions fit. */
export function topKey(before: TopState, key: string, sessions: readonly Session[], rows: number): TopStep {
  const state = { ...before, message: '' }
  const draw = (next: TopState): TopStep => ({ state: next, action: { do: 'draw' } })
  const ask = (next: TopState): TopStep => ({ state: next, action: { do: 'ask' } })
  if (key === '\u0003') return { state, action: { do: 'quit' } }
  if (key === '\u001a') return { state, action: { do: 'suspend' } }
  if (state.ending !== undefined) {
    const { id } = state.ending
    const rest = { ...state, ending: undefined }
    return key === 'y' || key === 'Y'
      ? { state: rest, action: { do: 'kill', id } }
      : draw({ ...rest, message: 'Nothing is ended.' })
  }
  if (state.help) return draw({ ...state, help: false })
  const move = MOVES[key]
  if (move !== undefined) return draw(moved(state, sessions, state.at + move(Math.max(1, rows - 1)), rows))
  const sort = SORT_KEYS.find((one) => one.key === key)
  if (sort !== undefined) return ask({ ...state, ...toFirst, sort: sort.sort, descending: sort.descending })
  switch (key) {
    case 'r':
      return ask({ ...state, ...toFirst, descending: !state.descending })
    case 'k': {
      const chosen = sessions[state.at]
      return draw(
        chosen === undefined ? { ...state, message: 'There is no session.' } : { ...state, ending: questionOf(chosen) },
      )
    }
    case '?':
    case 'h':
      return draw({ ...state, help: true })
    case 'q':
    case 'Q':
      return { state, action: { do: 'quit' } }
    default:
      return ask(state)
  }
}

const toFirst = { at: 0, id: undefined, first: 0 }

const questionOf = ({ id, user, ip }: Session) => ({
  id: cell(id),
  question: `End session ${cell(id)} of ${user === undefined ? 'nobody yet' : cell(user)} at ${cell(ip)} with 421 at its next boundary? y or n`,
})

function moved(state: TopState, sessions: readonly Session[], to: number, rows: number): TopState {
  const at = Math.max(0, Math.min(sessions.length - 1, to))
  const id = sessions[at]?.['id']
  const first = Math.max(0, Math.min(state.first, at), at - rows + 1)
  return {
    ...state,
    at,
    id: typeof id === 'string' ? id : undefined,
    first: Math.min(first, Math.max(0, sessions.length - rows)),
  }
}

/** The cursor stays on its session while that exists. */
export function settled(state: TopState, sessions: readonly Session[], rows: number): TopState {
  const at = state.id === undefined ? -1 : sessions.findIndex(({ id }) => id === state.id)
  return moved(state, sessions, at < 0 ? state.at : at, rows)
}
