// What a session does on its two streams that no transcript shows: backpressure, slow peers, untimely ends.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FakeSocket } from '../support/fake-socket.ts'
import { type InlineWorld, inlineWorld } from '../support/inline.ts'
import { parseTranscripts } from '../support/transcript.ts'

function world(options = 'tries=5'): InlineWorld {
  const [made] = parseTranscripts(`# made up\nwith: ${options}`, '')
  assert.ok(made !== undefined)
  const one = inlineWorld(made.settings)
  void one.go(false)
  return one
}

const AUTH = `AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`

/** Logged in, with the backend's end. */
function served(options?: string): { one: InlineWorld; backend: FakeSocket } {
  const one = world(options)
  one.client.send(AUTH)
  void one.go(false)
  one.answerOfHelper('ok 1000 1000 42')
  const backend = one.backend() as FakeSocket
  backend.send('220 backend\r\n')
  void one.go(false)
  return { one, backend }
}

function send(one: InlineWorld, text: string): void {
  one.client.send(text)
  void one.go(false)
}

void describe('backpressure', () => {
  void it('a client that takes no replies before its login is not read from until it does', () => {
    const one = world()
    one.clientSocket.blocked = true
    send(one, 'NOOP\r\n')
    const { length } = one.client.heard()
    for (let n = 0; n < 100; n += 1) send(one, 'NOOP\r\n')
    assert.equal(one.client.heard().length, length)
    one.clientSocket.unblock()
    void one.go(false)
    assert.equal(one.client.heard().match(/250 ok\r\n/g)?.length, 101)
  })

  void it('a client that takes no replies stops its backend, and lets it go on when it takes them', () => {
    const { one, backend } = served()
    send(one, 'NOOP\r\n')
    one.clientSocket.blocked = true
    backend.send('250-')
    backend.send('long\r\n250 ok\r\n')
    void one.go(false)
    assert.ok(backend.isPaused())
    assert.ok(one.clientSocket.isPaused())
    one.clientSocket.unblock()
    void one.go(false)
    assert.ok(!backend.isPaused())
    assert.ok(!one.clientSocket.isPaused())
  })

  void it('a backend that takes no more of a message stops its client', () => {
    const { one, backend } = served()
    send(one, 'DATA\r\n')
    backend.send('354 go\r\n')
    void one.go(false)
    backend.blocked = true
    send(one, 'one\r\n')
    assert.ok(one.clientSocket.isPaused())
    send(one, 'two\r\n')
    assert.ok(!backend.heard().includes('two'))
    backend.unblock()
    void one.go(false)
    assert.ok(backend.heard().endsWith('one\r\ntwo\r\n'))
  })

  void it('a client that sends ahead while the helper is at work is paused, and read from afterwards', () => {
    const one = world()
    send(one, AUTH)
    send(one, 'NOOP\r\n')
    assert.ok(one.clientSocket.isPaused())
    one.answerOfHelper('exit 1')
    void one.go(false)
    assert.ok(one.client.heard().endsWith('535 authup authorization failed (#5.7.0)\r\n250 ok\r\n'))
    assert.ok(!one.clientSocket.isPaused())
  })
})

void describe('ends', () => {
  void it('a client that goes on sending after it was dismissed does not keep its session alive', () => {
    const one = world()
    send(one, 'QUIT\r\n')
    const { seen } = one.session.streams
    void one.time(4000)
    send(one, 'NOOP\r\n')
    assert.equal(one.session.streams.seen, seen)
    assert.ok(one.session.streams.closing)
  })

  void it('a helper that answers after the session is over has its stream closed', () => {
    const one = world()
    send(one, AUTH)
    one.session.abandon('killed')
    one.answerOfHelper('ok 1000 1000 42')
    assert.ok((one.backend() as FakeSocket).destroyed)
  })

  void it('a helper that answers while the session is ending has its stream closed, and the session ends', () => {
    const one = world()
    send(one, AUTH)
    void one.shutdown()
    void one.go(false)
    assert.ok(one.session.streams.closing)
    one.answerOfHelper('ok 1000 1000 42')
    assert.ok((one.backend() as FakeSocket).destroyed)
    assert.equal(one.end(), '')
  })

  void it('a client that disconnects after a refused bare line end, before its final dot, ends the session immediately', () => {
    const { one, backend } = served('bare=refuse')
    send(one, 'DATA\r\n')
    backend.send('354 go\r\n')
    void one.go(false)
    send(one, 'bare\nline')
    assert.ok(backend.destroyed)
    one.client.close()
    void one.go(false)
    assert.notEqual(one.ended(), undefined)
  })

  void it('the stream of a backend that has ended is closed', () => {
    const { one, backend } = served()
    send(one, 'QUIT\r\n')
    backend.send('221 bye\r\n')
    backend.close()
    void one.go(false)
    assert.ok(backend.destroyed)
  })

  void it('a client that resets in DATA leaves a cut stream, without a final dot', () => {
    const { one, backend } = served()
    send(one, 'DATA\r\n')
    backend.send('354 go\r\n')
    void one.go(false)
    send(one, 'half\r\n.')
    one.client.reset()
    void one.go(false)
    assert.ok(backend.writableEnded)
    assert.ok(!backend.heard().includes('\r\n.\r\n'))
    backend.close()
    void one.go(false)
    assert.notEqual(one.ended(), undefined)
  })

  void it('credentials are wiped once the helper has been asked', () => {
    const one = world()
    send(one, AUTH)
    const asked = one.effects.find((effect) => effect.do === 'ask-helper')
    assert.ok(asked?.do === 'ask-helper')
    assert.ok(asked.credentials.every((byte) => byte === 0))
  })
})
