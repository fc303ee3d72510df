// The control plane over the real daemon: whatever comes is answered or closed, and nothing of ours throws.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { createContext } from '../../../src/rpc/context.ts'
import { createDispatch } from '../../../src/rpc/dispatch.ts'
import { METHOD_MAP } from '../../../src/rpc/methods.ts'
import { createClient } from '../../../src/rpc/streams.ts'
import { fixture } from '../../rpc/fixture.ts'
import { assertAnswers, exchange } from '../../rpc/hostile.ts'
import { inPieces, octets, opened, type Scope, sizes } from '../target.ts'

/** What would end the daemon, or its sessions, for good. */
const NOT_ASKED = new Set(['server.stop', 'server.upgrade', 'server.drain'])
const METHODS = [...METHOD_MAP.keys()].filter((name) => !NOT_ASKED.has(name))
const PARAMETERS = [
  ...new Set(METHODS.flatMap((name) => Object.keys(METHOD_MAP.get(name)?.example?.params ?? {}))),
  'dryRun',
  'ttl',
  '__proto__',
  'x',
]

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    '',
    '*',
    'user1',
    'smtp:587',
    'ehlo',
    '127.0.0.1',
    '\\x41',
    '\ud800',
    '\0',
    -1,
    1e308,
    2 ** 53,
    '1 second',
    'constructor',
  ),
)
const request = fc
  .record({
    method: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...METHODS) },
      fc.constantFrom('__proto__', 'toString', ''),
      fc.jsonValue(),
    ),
    change: fc.dictionary(fc.constantFrom(...PARAMETERS), odd, { maxKeys: 3 }),
    plain: fc.boolean(),
    id: fc.oneof({ weight: 6, arbitrary: fc.integer() }, fc.jsonValue({ maxDepth: 1 })),
    more: fc.oneof(
      { weight: 8, arbitrary: fc.constant({}) },
      fc.dictionary(fc.constantFrom('jsonrpc', 'params', 'id', 'x'), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 }),
    ),
  })
  .map(({ method, change, plain, id, more }) => {
    const example = plain && typeof method === 'string' ? METHOD_MAP.get(method)?.example?.params : {}
    return { jsonrpc: '2.0', id, method, params: { ...example, ...change }, ...more }
  })

const open = (scope: Scope) => fixture(scope as unknown as TestContext)

const rpc = opened(
  'rpc',
  'a request of any shape has one answer with its id, a notification none, and no bug is logged',
  fc.record({
    value: fc.oneof({ weight: 6, arbitrary: request }, fc.array(request, { maxLength: 4 }), fc.jsonValue()),
    level: fc.constantFrom('control' as const, 'status' as const),
  }),
  async (scope) => {
    const { host } = await open(scope)
    const context = createContext(host.daemon)
    scope.after(() => context.close())
    const dispatch = createDispatch(context)
    return async ({ value, level }) => {
      const client = createClient(
        level,
        'lines',
        () => true,
        () => undefined,
        () => undefined,
      )
      const answer = await dispatch(JSON.stringify(value), client)
      client.closed()
      if (answer !== undefined) {
        assert.doesNotMatch(answer, /\n/)
        assertAnswers(answer)
        const said = JSON.parse(answer) as { readonly id?: unknown }
        const asked = (value as { readonly id?: unknown } | null)?.id
        if (!Array.isArray(value) && (typeof asked === 'number' || typeof asked === 'string'))
          assert.ok(said.id === asked)
      }
      if (Array.isArray(value) && answer !== undefined && value.length > 0)
        assert.ok((JSON.parse(answer) as unknown[]).length <= value.length)
      assert.doesNotMatch(host.log(), / bug /)
    }
  },
)

const WORDS = [
  ...'GET|POST|HEAD|PUT| |/|/metrics|/healthz|/readyz|?x=1|HTTP/1.1|HTTP/1.0|HTTP/2.0|\r\n|\n|\r|Host: x\r\n'.split(
    '|',
  ),
  ...'Content-Length: 2\r\n|Content-Length: 99999\r\n|Transfer-Encoding: chunked\r\n|2\r\n{}\r\n0\r\n\r\n|{}|Expect: 100-continue\r\n'.split(
    '|',
  ),
  ...'Connection: close\r\n|Upgrade: websocket\r\nConnection: upgrade\r\n|GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n|POST / HTTP/1.1\r\nHost: x\r\n'.split(
    '|',
  ),
  '{"jsonrpc":"2.0","id":1,"method":"server.ping"}',
  '{"jsonrpc":"2.0","id":1,"method":"session.list","params":{}}\n',
]
const http = opened(
  'rpc-sockets',
  'octets on a control socket, JSON lines or HTTP, are answered with either or closed, and no bug is logged',
  fc.record({ text: octets(WORDS, 12), sizes }),
  async (scope) => {
    const { control, host } = await open(scope)
    return async ({ text, sizes: cuts }) => {
      assertAnswers(
        await exchange(
          control,
          inPieces(
            text,
            cuts.map((size) => size * 8),
          ).map((piece) => Buffer.from(piece, 'latin1')),
        ),
      )
      assert.doesNotMatch(host.log(), / bug /)
    }
  },
)

export const controlPlaneTargets = [rpc, http]
