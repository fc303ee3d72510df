// acceptctl top: its screen, its keys, and the terminal that it leaves as it was.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SESSION_SORTS } from '../../src/contract/pages.ts'
import { type TopView, topCounters, topPicture, topRows } from '../../src/rpc/top.ts'
import { keysIn, newTop, SORT_KEYS, settled, TOP_HELP, topKey } from '../../src/rpc/top-keys.ts'
import { displayWidth } from '../../src/rpc/width.ts'
import { until } from '../support/lane.ts'
import { sampleSession } from '../support/sample.ts'
import { bare, terminal } from '../support/terminal.ts'
import { fixture } from './fixture.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

const stats = (value: number) => ({
  now: '2026-11-22T09:00:00.000Z',
  counters: [{ name: 'acceptd_sessions_accepted_total', labels: {}, value }],
})

const sessions = Array.from({ length: 500 }, (_, n) => ({
  ...sampleSession(n),
  id: `1.a1b2c3.${n.toString(36)}`,
  user: n === 0 ? '日本語のとても長い名前' : `user${n}`,
  ip: '2001:db8::1:2:3:4:5',
  started: '2026-11-22T08:00:00.000Z',
  idle: n,
}))

const INPUT = {
  info: { version: '1', uptime: 90_061, generation: 3 },
  stats: stats(150),
  lanes: {
    lanes: [
      { lane: 1, state: 'running', sessions: 3, memoryBytes: 1e6, lagSeconds: 0.3, deaths: 0 },
      { lane: 2, state: 'silent', sessions: 0, memoryBytes: 1e6, lagSeconds: 0, deaths: 1 },
    ],
  },
  limits: {
    limits: [
      { name: 'few', nearest: { subject: '192.0.2.7', used: 1, most: 20 } },
      { name: 'recipients', nearest: { subject: 'alice', used: 950, most: 1000 } },
      { name: 'none' },
    ],
  },
  sessions: { matched: 1234, sessions },
}

const plain = (width: number, height: number, more: Partial<TopView> = {}): TopView => ({
  width,
  height,
  look: 'plain',
  state: newTop(undefined, false),
  ...more,
})
/** With ^[ for the escape character. */
const seen = (text: string): string => text.replaceAll('\u001b', '^[')
const picture = (view: TopView) => topPicture(INPUT, topCounters(stats(100), 1000), topCounters(stats(150), 6000), view)

void describe('the picture', () => {
  void it('fits, whatever the terminal', () => {
    for (const width of [20, 40, 80, 100, 200])
      for (const height of [5, 24, 60])
        for (const look of ['plain', 'mono', 'colour'] as const) {
          const lines = picture(plain(width, height, { look })).map(bare)
          assert.equal(lines.length, height)
          for (const line of lines) assert.ok(displayWidth(line) <= width, `${width}: ${line}`)
        }
  })

  void it('has whole ids, rates by seconds, and those nearest to their limits first', () => {
    const lines = picture(plain(80, 24))
    assert.match(lines[0] ?? '', /up 1d01h {2}generation 3 {2}09:00:00Z$/)
    assert.match(lines[1] ?? '', /^sessions 1234 {2}accepted 10\/s/)
    const text = lines.join('\n')
    assert.match(text, /NEAREST LIMIT.*\nrecipients +alice +950 +1\.0k\nfew +192\.0\.2\.7 +1 +20\n/)
    for (const { id } of sessions.slice(0, 5)) assert.ok(text.includes(`\n${id} `), id)
    assert.match(text, /\n1224 more below$/)
  })

  void it('names the order and the keys, and marks the column that it is sorted by', () => {
    const lines = picture(plain(80, 24)).join('\n')
    assert.match(lines, /by idle, descending; sort i t u a m b o d, r reverse, k kill, \? help, q quit/)
    assert.doesNotMatch(lines, / AGE /)
    const byAge = picture(plain(80, 24, { state: newTop('started', true) })).join('\n')
    assert.match(byAge, /by started, descending;/)
    assert.match(byAge, / AGE .*\n.* 1h00 /)
    assert.match(picture(plain(100, 24)).join('\n'), / AGE +IDLE +MSGS +IN +OUT +LAST/)
  })

  void it('marks problems in colour, and without colours only title and cursor', () => {
    const colour = seen(picture(plain(80, 24, { look: 'colour' })).join('\n'))
    assert.match(colour, /\^\[\[31msilent {2}\^\[\[39m/)
    assert.match(colour, /\^\[\[31m +950\^\[\[39m/)
    assert.match(colour, /\^\[\[7m1\.a1b2c3\.0 .*\^\[\[27m/)
    const mono = seen(picture(plain(80, 24, { look: 'mono' })).join('\n'))
    assert.deepEqual([...new Set(mono.match(/\^\[\[\d+m/g))].toSorted(), ['^[[1m', '^[[22m', '^[[27m', '^[[7m'])
    assert.ok(!picture(plain(80, 24)).join('').includes('\u001b'))
  })

  void it('of the help has every key', () => {
    const text = picture(plain(80, 24, { state: { ...newTop('idle', false), help: true } })).join('\n')
    for (const { key } of SORT_KEYS) assert.match(text, new RegExp(`^ .*\\b${key}\\b`, 'm'))
    assert.equal(text, TOP_HELP.join('\n'))
    assert.deepEqual(SORT_KEYS.map(({ sort }) => sort).toSorted(), SESSION_SORTS.toSorted())
  })
})

void describe('the keys', () => {
  const rows = 10
  /** After these keys, pressed in turn. */
  const after = (...keys: readonly string[]) =>
    keys.reduce(
      (step, key) => topKey(step.state, key, sessions, rows),
      topKey(newTop('idle', false), ' ', sessions, rows),
    )
  const [up, down, pageUp, pageDown, home, end] = [
    '\u001b[A',
    '\u001b[B',
    '\u001b[5~',
    '\u001b[6~',
    '\u001b[H',
    '\u001b[F',
  ] as const

  void it('move the cursor, and what is shown with it', () => {
    const where = (...keys: readonly string[]) => {
      const { at, first } = after(...keys).state
      return [at, first]
    }
    assert.deepEqual(where(up), [0, 0])
    assert.deepEqual(where(down, down), [2, 0])
    assert.deepEqual(where(pageDown), [9, 0])
    assert.deepEqual(where(pageDown, down), [10, 1])
    assert.deepEqual(where(end), [499, 490])
    assert.deepEqual(where(end, down), [499, 490])
    assert.deepEqual(where(end, pageUp), [490, 490])
    assert.deepEqual(where(end, pageUp, up), [489, 489])
    assert.deepEqual(where(end, home), [0, 0])
  })

  void it('sort, and reverse, from the first one again', () => {
    for (const { key, sort, descending } of SORT_KEYS) {
      const { state, action } = after('\u001b[F', key)
      assert.deepEqual([state.sort, state.descending, state.at, action.do], [sort, descending, 0, 'ask'])
      assert.equal(after(key, 'r').state.descending, !descending)
    }
  })

  void it('end a session only after a y', () => {
    const asked = after(down, 'k')
    assert.equal(
      asked.state.ending?.question,
      'End session 1.a1b2c3.1 of user1 at 2001:db8::1:2:3:4:5 with 421 at its next boundary? y or n',
    )
    assert.equal(asked.action.do, 'draw')
    assert.deepEqual(after(down, 'k', 'y').action, { do: 'kill', id: '1.a1b2c3.1' })
    for (const key of ['n', '\r', '\u001b', 'q', 'k', ' ', down]) {
      const { state, action } = after(down, 'k', key)
      assert.deepEqual([action.do, state.ending, state.message], ['draw', undefined, 'Nothing is ended.'], key)
    }
    assert.equal(topKey(newTop('idle', false), 'k', [], rows).state.message, 'There is no session.')
    assert.equal(after('k', '\u0003').action.do, 'quit')
  })

  void it('keep the cursor on its session when the order changes, and in the list when that is gone', () => {
    const { state } = after(pageDown, down)
    assert.equal(settled(state, sessions.toReversed(), rows).at, 489)
    assert.deepEqual([settled(state, sessions.slice(0, 3), rows).at, settled(state, [], rows).at], [2, 0])
    assert.equal(settled(state, sessions, 400).first, 1)
  })

  void it('are told apart when a terminal sends several together', () => {
    assert.deepEqual(keysIn(`k${down}\u001bOAq\u001b[6~é`), ['k', down, '\u001bOA', 'q', pageDown, 'é'])
  })

  void it('leave as many rows as the picture has', () => {
    const view = plain(80, 24)
    const lines = picture(view)
    const head = lines.findIndex((line) => line.startsWith('ID '))
    assert.equal(lines.length - head - 2, topRows(INPUT, view))
  })
})

void test('without a terminal it prints one screen of 80 columns', async (t) => {
  const { control } = await fixture(t)
  const text = await new Promise<string>((resolve) => {
    execFile(process.execPath, [program, '--socket', control, 'top', '--sort', 'user'], (_error, out) => resolve(out))
  })
  assert.ok(text.split('\n').every((line) => line.length <= 80))
  assert.match(text, /^sessions 3 /m)
  assert.match(text, /^\S+ +alice +127\.0\.0\.1 +ready /m)
  assert.doesNotMatch(seen(text), /\^\[|q quit/)
})

void test('on a terminal it refreshes, asks before it ends a session, follows its size, and restores the terminal', async (t) => {
  const { control, sessions: count } = await fixture(t)
  const command = [process.execPath, program, '--socket', control, 'top', '--sort', 'user', '--interval', '3600']
  const screen = await terminal(t, command, { rows: 15, columns: 100, env: { NO_COLOR: '1' } })
  const shows = (what: RegExp) => until(String(what), () => what.test(screen.picture().join('\n')))
  await shows(/alice +127\.0\.0\.1 +ready/)
  assert.ok(screen.written().includes('\u001b[?1049h\u001b[?25l\u001b[?7l'))
  assert.doesNotMatch(seen(screen.written()), /\^\[\[3\dm/)
  assert.match(screen.picture().join('\n'), /by user; sort i t u a m b o d/)
  screen.type('?')
  await shows(/Keys of acceptctl top/)
  screen.type(' ')
  await shows(/alice +127/)
  screen.type('k')
  await shows(/End session \S+ of alice at 127\.0\.0\.1 .*\? y or n/)
  screen.type('n')
  await shows(/Nothing is ended\./)
  assert.equal(await count(), 3)
  screen.type('ky')
  await shows(/Session \S+: 421 at its next boundary/)
  await until('its end', async () => (await count()) === 2)
  screen.type(' ')
  await until('one less', () => !/alice/.test(screen.picture().join('\n')))
  screen.resize(12, 40)
  await until('the new size', () => screen.picture().every((line) => line.length <= 40), {
    show: () => JSON.stringify(screen.picture()),
  })
  screen.type('q')
  assert.equal(await screen.ended, 0)
  assert.ok(screen.written().trimEnd().endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l'))
})

void describe('the terminal is restored', () => {
  const RESTORED = '\u001b[?7h\u001b[?25h\u001b[?1049l'
  const open = async (t: Parameters<typeof fixture>[0]) => {
    const made = await fixture(t)
    const screen = await terminal(t, [process.execPath, program, '--socket', made.control, 'top', '--interval', '0.1'])
    await until('a picture', () => /alice/.test(screen.picture().join('\n')))
    return { ...made, screen }
  }
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
    void it(`after ${signal}`, async (t) => {
      const { screen } = await open(t)
      screen.kill(signal)
      assert.equal(await screen.ended, 0)
      assert.ok(screen.written().trimEnd().endsWith(RESTORED))
    })

  void it('when acceptd goes away, and the reason is printed below', async (t) => {
    const { screen, plane } = await open(t)
    await plane.close()
    assert.equal(await screen.ended, 69)
    const [, last = ''] = screen.written().split(RESTORED)
    assert.match(last, /^acceptctl: acceptd closed the connection|acceptctl: acceptd is not reachable/)
  })

  void it('while it is stopped, and taken again afterwards', async (t) => {
    const { screen } = await open(t)
    screen.type('\u001a')
    await until('it is stopped', screen.isStopped)
    screen.resume()
    await until('a picture again', () => /alice/.test(screen.written().split(RESTORED)[1] ?? ''))
    screen.type('q')
    assert.equal(await screen.ended, 0)
  })
})
