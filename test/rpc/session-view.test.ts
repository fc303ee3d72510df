// The rows of contract/session-view.ts are all that session.list, session.get, events and acceptctl know about a session.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DETAIL_FIELDS,
  EVENT_FIELDS,
  identityOf,
  LIST_FIELDS,
  SESSION_COLUMNS,
  SESSION_VIEW,
  summaryOf,
  type Viewed,
} from '../../src/contract/session-view.ts'
import { sessionDetail, sessionSummary, wireSession } from '../../src/rpc/session-schema.ts'
import { sampleSession } from '../support/sample.ts'

const NOW = 1_700_000_200_000

const guest: Viewed = {
  session: {
    name: '1.2f',
    settings: { dialogue: { protocol: 'smtp' } },
    ip: '192.0.2.7',
    port: 51_234,
    proxy: undefined,
    tls: { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', serverName: '', clientName: '' },
    started: 1000,
    login: {
      user: '',
      helo: '',
      mechanism: '',
      at: 1500,
      accepted: { pid: 4711, uid: 1000, gid: 1000 },
      chain: 'guests',
    },
    counters: { messages: 0, recipients: 0 },
    streams: { seen: 2000, bytesIn: 8, bytesOut: 9 },
    verbs: [{ at: 1600, verb: 'hunter2', code: 0 }],
    actors: { authup: { at: 'served', rest: new Uint8Array(0) }, fixsmtpio: undefined },
  },
  state: 'ready',
  place: { lane: 1, listener: 'submission', generation: 3 },
  wallTime: (monotonic) => 1_700_000_000_000 + monotonic,
}

void test('a field without a value is left out, and a word that is not a verb is not repeated', () => {
  assert.deepEqual(summaryOf(guest), {
    id: '1.2f',
    protocol: 'smtp',
    state: 'ready',
    listener: 'submission',
    lane: 1,
    generation: 3,
    ip: '192.0.2.7',
    port: 51_234,
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    started: 1_700_000_001_000,
    idle: 1_700_000_002_000,
    backend: { chain: 'guests', pid: 4711, uid: 1000, gid: 1000 },
    messages: 0,
    recipients: 0,
    bytesIn: 8,
    bytesOut: 9,
    lastVerb: 'UNKNOWN',
  })
  assert.deepEqual(
    Object.keys(identityOf(guest)),
    EVENT_FIELDS.filter((field) => field !== 'user'),
  )
})

void test('the schemas have the rows as members, and what is written fits them', () => {
  assert.deepEqual(Object.keys(sessionSummary.shape), LIST_FIELDS)
  assert.deepEqual(Object.keys(sessionDetail.shape), DETAIL_FIELDS)
  const written = wireSession(DETAIL_FIELDS, sampleSession(1), 'status', NOW)
  assert.deepEqual(sessionDetail.strict().parse(written), written)
  assert.equal(written.started, '2023-11-14T22:13:21.000Z')
  assert.equal(written.idle, 99.999)
  assert.deepEqual(written.verbs, [{ at: '2023-11-14T22:13:20.500Z', verb: 'MAIL', code: '250' }])
})

void test('a field that only control.sock may see is written for no one else', () => {
  const rows = { ...SESSION_VIEW, ip: { ...SESSION_VIEW.ip, seenBy: 'control' } } as const
  const written = (level: 'status' | 'control') =>
    wireSession(['id', 'ip'], sampleSession(1, { ip: '192.0.2.7' }), level, NOW, rows)
  assert.deepEqual(written('status'), { id: '1.0001' })
  assert.deepEqual(written('control'), { id: '1.0001', ip: '192.0.2.7' })
})

void test('each column of acceptctl has a place of its own', () => {
  const places = Object.values(SESSION_VIEW).flatMap((row) => ('column' in row ? [row.column] : []))
  assert.equal(new Set(places).size, places.length)
  assert.equal(SESSION_COLUMNS.length, places.length)
})
