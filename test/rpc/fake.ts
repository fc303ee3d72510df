// A daemon in memory: everything that the methods ask for, without a lane.
import { createHash } from 'node:crypto'
import { err, ok } from 'neverthrow'
import type {
  ConfigFile,
  Daemon,
  DaemonEvent,
  Generation,
  ListenerState,
  LogLevel,
  Published,
  RpcFailure,
  SessionDetail,
  SessionSummary,
  TraceLine,
} from '../../src/contract/daemon.ts'
import { histogramValue, newHistogram, record } from '../../src/contract/histogram.ts'
import { selectPage, sessionMatcher } from '../../src/contract/pages.ts'
import type { ConfigError } from '../../src/protocol/errors.ts'
import { without } from '../../src/rpc/wire.ts'

export const PASSWORD = 'correct horse battery staple'

export interface FakeDaemon {
  readonly daemon: Daemon
  readonly sessions: Map<string, SessionDetail>
  /** The control directory. */
  readonly disk: Map<string, string>
  emit(event: Omit<DaemonEvent, 'at'>): void
  traced(line: TraceLine): void
  readonly bugs: unknown[]
  /** What was done, in order. */
  readonly done: string[]
  readonly listening: () => number
}

export function sha(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function fakeSession(n: number, more: Partial<SessionDetail> = {}): SessionDetail {
  return {
    id: `1.${n.toString(16).padStart(4, '0')}`,
    protocol: 'smtp',
    state: 'ready',
    listener: 'submission',
    lane: n % 2,
    generation: 1,
    ip: `192.0.2.${n % 250}`,
    port: 40_000 + (n % 20_000),
    user: n % 3 === 0 ? 'alice' : `user${n}`,
    started: 1_700_000_000_000 + n * 1000,
    lastActive: 1_700_000_100_000 + n,
    messages: n % 5,
    recipients: n % 7,
    bytesIn: n * 10,
    bytesOut: n * 3,
    lastVerb: 'RSET',
    verbs: [{ at: 1_700_000_000_500, verb: 'MAIL', argument: 'FROM:<secret.envelope@example>', code: '250' }],
    actors: [{ name: 'fixsmtpio', inboxFrames: 0, inboxBytes: 0 }],
    ...more,
  }
}

function summaryOf(session: SessionDetail): SessionSummary {
  return without(session, 'verbs', 'actors')
}

/** A line is good if it has three colons; `bad` anywhere is an error at its column. */
function errorsOf(files: ReadonlyMap<string, string>): ConfigError[] {
  const text = files.get('fixsmtpio') ?? ''
  return text.split('\n').flatMap((line, i) => {
    const column = line.indexOf('bad')
    if (column < 0) return []
    return [{ file: 'control/fixsmtpio', line: i + 1, column: column + 1, problem: 'no rule says bad', hint: 'good' }]
  })
}

function hashOf(files: ReadonlyMap<string, string>): string {
  return sha(JSON.stringify([...files]))
}

function configFiles(files: ReadonlyMap<string, string>): ConfigFile[] {
  return [...files].map(([name, text]) => ({
    name,
    text,
    sha256: sha(text),
    changes: name === 'listeners' ? 'restart' : 'reload',
  }))
}

const notFound = (reason: string): RpcFailure => ({ failure: 'not-found', reason, message: `Not found: ${reason}` })

export function fakeDaemon(count = 3): FakeDaemon {
  const sessions = new Map<string, SessionDetail>()
  for (let n = 1; n <= count; n++) sessions.set(fakeSession(n).id, fakeSession(n))
  const disk = new Map([
    ['fixsmtpio', 'greeting:4*::14:&ok\n'],
    ['smtpgreeting', 'mx.example ESMTP\n'],
  ])
  let loaded = new Map(disk)
  const listeners = new Set<(event: DaemonEvent) => void>()
  const tracers = new Set<(line: TraceLine) => void>()
  const bugs: unknown[] = []
  const done: string[] = []
  const levels: Record<string, LogLevel> = { session: 'info', rules: 'warn' }
  const blocked = new Map<string, { since: number; reason?: string }>()
  let draining = false
  let submission: ListenerState = {
    name: 'submission',
    address: '127.0.0.1',
    port: 587,
    protocol: 'smtp',
    tls: 'starttls',
    chain: 'ofmip',
    accepted: 12,
    refused: 1,
  }
  const history: (Generation & { readonly files: ReadonlyMap<string, string> })[] = []
  const publish = (files: Map<string, string>, by: Generation['by'], reason?: string): Published => {
    const previous = history.length
    const before = loaded
    loaded = new Map(files)
    history.push({
      generation: previous + 1,
      sha256: hashOf(files),
      published: Date.now(),
      by,
      ...(reason !== undefined && { reason }),
      rules: 1,
      sessions: previous === 0 ? sessions.size : 0,
      files: loaded,
    })
    return {
      generation: previous + 1,
      previous,
      sha256: hashOf(files),
      changed: [...files].filter(([name, text]) => before.get(name) !== text).map(([name]) => name),
      rules: 1,
      lanes: 2,
      olderSessions: sessions.size,
      milliseconds: 1.5,
    }
  }
  publish(new Map(disk), 'start')
  const current = () => {
    const generation = history.at(-1)
    if (!generation) throw new Error('nothing published')
    return withoutFiles(generation)
  }
  let lastError: { at: number; by: 'control'; errors: readonly ConfigError[] } | undefined

  const daemon: Daemon = {
    server: {
      info: () => ({
        version: '0.1.0',
        pid: process.pid,
        started: Date.now() - 5000,
        lanes: 2,
        helper: { mode: 'serve', privileged: true },
        generation: current().generation,
        sha256: current().sha256,
        draining,
      }),
      measure: () => {
        const login = newHistogram()
        record(login, 0.01)
        record(login, 0.02)
        const value = histogramValue(login)
        return [
          { metric: 'acceptd_draining', labels: {}, value: draining ? 1 : 0 },
          { metric: 'acceptd_sessions_accepted_total', labels: { listener: 'sub"mission' }, value: 12 },
          { metric: 'acceptd_login_seconds', labels: { lane: '0', outcome: 'accepted' }, value },
          { metric: 'acceptd_login_seconds', labels: { lane: '1', outcome: 'accepted' }, value },
        ]
      },
      health: () => [{ name: 'helper', state: 'ok', detail: 'The helper answers and is privileged' }],
      drain: (reason) => {
        draining = true
        done.push(`drain ${reason}`)
        return ok({ sessions: sessions.size })
      },
      undrain: () => {
        draining = false
        done.push('undrain')
        return ok({ sessions: sessions.size })
      },
      stop: ({ grace }) => {
        done.push(`stop ${grace}`)
        return ok({ sessions: sessions.size })
      },
    },
    listeners: {
      list: () => [submission],
      pause: (name, mode) => {
        if (name !== submission.name) return err(notFound('no-such-listener'))
        submission = { ...submission, paused: mode }
        done.push(`pause ${mode}`)
        return ok(submission)
      },
      resume: () => {
        submission = without(submission, 'paused')
        done.push('resume')
        return ok(submission)
      },
    },
    config: {
      knobs: () => [
        {
          name: 'timeoutsmtpd',
          value: '1200',
          secret: false,
          source: { from: 'file', file: 'timeoutsmtpd', line: 1 },
          changes: 'reload',
        },
        { name: 'fixsmtpio', value: 'secret rules', secret: false, source: { from: 'default' }, changes: 'reload' },
        { name: 'tlskey', secret: true, source: { from: 'default' }, changes: 'restart' },
      ],
      status: () => ({
        current: current(),
        files: [...new Set([...disk.keys(), ...loaded.keys()])].map((name) => {
          const [there, here] = [disk.get(name), loaded.get(name)]
          return {
            name,
            ...(there !== undefined && { diskSha256: sha(there) }),
            ...(here !== undefined && { loadedSha256: sha(here) }),
          }
        }),
        ...(lastError && { lastError }),
        generations: history.filter((one) => one.sessions > 0 || one === history.at(-1)).map(withoutFiles),
      }),
      check: (files) => {
        const all = new Map([...disk, ...Object.entries(files ?? {})])
        return { errors: errorsOf(all), warnings: [], sha256: hashOf(all) }
      },
      texts: () => ({ published: configFiles(loaded), disk: configFiles(disk) }),
      reload: ({ by, reason }) => {
        const errors = errorsOf(disk)
        if (errors.length > 0) {
          lastError = { at: Date.now(), by: 'control', errors }
          return err({
            failure: 'config-invalid',
            reason: 'config-invalid',
            message: 'The configuration is not valid',
            data: { errors },
          })
        }
        done.push('reload')
        return ok(publish(new Map(disk), by, reason))
      },
      history: () => history.map(withoutFiles),
      rollback: ({ generation, by, reason }) => {
        const old = history.find((one) => one.generation === generation)
        if (!old) return err(notFound('no-such-generation'))
        done.push(`rollback ${generation}`)
        return ok(publish(new Map(old.files), by, reason))
      },
    },
    rules: {
      list: (generation) => {
        const wanted = history.find((one) => one.generation === (generation ?? current().generation))
        if (!wanted) return err(notFound('no-such-generation'))
        return ok({
          generation: wanted.generation,
          sha256: wanted.sha256,
          rules: [{ line: 1, text: 'greeting:4*::14:&ok', event: 'greeting', hits: 2, lastHit: Date.now() }],
        })
      },
      evaluate: ({ reply, text }) =>
        ok({
          ...(reply !== undefined && { reply }),
          exitcode: 14,
          trace: [
            {
              rule: text?.trim() ?? 'greeting:4*::14:&ok',
              line: 1,
              matched: true,
              why: 'the reply begins with 4',
              before: { ...(reply !== undefined && { reply }) },
              after: { ...(reply !== undefined && { reply }), exitcode: 14 },
            },
          ],
        }),
    },
    sessions: {
      query: (query) => ({ ...selectPage([...sessions.values()].map(summaryOf), query), silentLanes: [] }),
      get: (id) => {
        const session = sessions.get(id)
        return session ? ok(session) : err(notFound('no-such-session'))
      },
      kill: ({ filter, mode }) => {
        const matches = sessionMatcher(filter)
        const ids = [...sessions.values()].filter((one) => matches(one, Date.now())).map((one) => one.id)
        for (const id of ids) sessions.delete(id)
        done.push(`kill ${mode} ${ids.length}`)
        return { ids, silentLanes: [] }
      },
      trace: (_, listener) => {
        tracers.add(listener)
        return () => tracers.delete(listener)
      },
    },
    users: {
      list: () => {
        const users = new Map<string, { user: string; sessions: number; messages: number }>()
        for (const { user = '', messages } of sessions.values()) {
          const known = users.get(user) ?? { user, sessions: 0, messages: 0 }
          users.set(user, { user, sessions: known.sessions + 1, messages: known.messages + messages })
        }
        for (const user of blocked.keys()) if (!users.has(user)) users.set(user, { user, sessions: 0, messages: 0 })
        return {
          users: [...users.values()].map((one) => {
            const block = blocked.get(one.user)
            return block ? { ...one, blocked: block } : one
          }),
          silentLanes: [],
        }
      },
      block: (user, reason) => {
        blocked.set(user, { since: Date.now(), ...(reason !== undefined && { reason }) })
        const ended = [...sessions.values()].filter((one) => one.user === user).map((one) => one.id)
        for (const id of ended) sessions.delete(id)
        done.push(`block ${user}`)
        return ok({ ended })
      },
      unblock: (user) => {
        done.push(`unblock ${user}`)
        return blocked.delete(user) ? ok(undefined) : err(notFound('not-blocked'))
      },
    },
    auth: {
      test: ({ password, chain = 'ofmip' }) => {
        const right = new TextDecoder().decode(password) === PASSWORD
        return ok({
          verdict: right ? 'accepted' : 'refused',
          chain,
          ...(right && { uid: 1000, gid: 1000 }),
          milliseconds: 3,
        })
      },
    },
    lanes: {
      list: () =>
        [0, 1].map((lane) => ({
          lane,
          state: 'running' as const,
          sessions: [...sessions.values()].filter((one) => one.lane === lane).length,
          generation: current().generation,
          started: Date.now() - 5000,
          memoryBytes: 41_943_040,
          lagSeconds: 0.001,
          deaths: 0,
        })),
      recycle: (lane) => {
        done.push(`recycle ${lane}`)
        return lane < 2 ? ok({ lane: lane + 2, sessions: 1 }) : err(notFound('no-such-lane'))
      },
    },
    backends: {
      list: () => [{ chain: 'ofmip', kind: 'auth', argv: ['/var/qmail/bin/qmail-smtpd'], sessions: 1, parked: 0 }],
    },
    log: {
      levels: () => levels,
      set: (component, level) => {
        const before = levels[component]
        if (before === undefined) return err(notFound('no-such-component'))
        levels[component] = level
        done.push(`log ${component} ${level}`)
        return ok(before)
      },
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    bug: (where, error) => bugs.push(where, error),
  }

  return {
    daemon,
    sessions,
    disk,
    emit: (event) => {
      for (const listener of listeners) listener({ at: Date.now(), ...event })
    },
    traced: (line) => {
      for (const tracer of tracers) tracer(line)
    },
    bugs,
    done,
    listening: () => listeners.size + tracers.size,
  }
}

function withoutFiles(generation: Generation & { readonly files: unknown }): Generation {
  return without(generation, 'files')
}
