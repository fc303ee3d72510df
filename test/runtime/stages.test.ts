// Frames between actors: their bytes, their order, and what ends when our code throws.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { newAuthup } from '../../src/actors/authup-state.ts'
import { newCheckpassword } from '../../src/actors/checkpassword.ts'
import type { Effect } from '../../src/actors/effects.ts'
import { type Frame, TAG } from '../../src/actors/frames.ts'
import { newReup } from '../../src/actors/reup.ts'
import { decodeFrame, encodeFrame, encodeMessage } from '../../src/session/codec.ts'
import { createStages, type Staged } from '../../src/session/stages.ts'
import { dialogueOf } from '../support/inline.ts'
import { parseTranscripts } from '../support/transcript.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

const FRAMES: readonly Frame[] = [
  [TAG.start, 1],
  [TAG.attempt, 1, true],
  [TAG.input, 1, bytes('\0\r\n\xff')],
  [TAG.eof, 4_000_000_000],
  [TAG.timeout, 1],
  [TAG.tls, 1, false, ['ann']],
  [TAG.login, 1, 'J\xfcrgen', bytes('a\0b\0\0'), 'PLAIN'],
  [TAG.guest, 1],
  [TAG.answer, 1, 'ok', -1, ''],
  [TAG.verdict, 1, 'refused', 1, 'me', ''],
  [TAG.outcome, 1, 'tempfail', 111, true, ''],
  [TAG.serve, 1, false, 'EHLO me\r\n', bytes('')],
  [TAG.request, 1, new Uint8Array(70_000).fill(120)],
  [TAG.backend, 1, bytes('250 ok\r\n')],
  [TAG.backendEnd, 1, -1],
  [TAG.bodyEnd, 1, bytes('QUIT\r\n'), 'bare-line-end'],
  [TAG.shutdown, 1, 'service shutting down'],
  [TAG.limits, 1, 'too many messages of this user (#limit messages)'],
  [TAG.described, 1],
]

void describe('the wire', () => {
  void it('gives every frame back as it was, latin1 names and bytes included', () => {
    assert.deepEqual(
      FRAMES.map((frame) => frame[0]),
      Object.values(TAG),
    )
    const encoded = FRAMES.map(encodeFrame)
    for (const [i, frame] of FRAMES.entries()) {
      const decoded = decodeFrame(encoded[i] ?? bytes(''))
      const plain = (one: Frame) => one.map((field) => (field instanceof Uint8Array ? [...field] : field))
      assert.deepEqual(plain(decoded), plain(frame))
    }
  })
  void it('posts messages without the memory around them', () => {
    const message = encodeMessage({ q: 'ping', n: 1, ask: null })
    assert.equal(message.byteLength, message.buffer.byteLength)
  })
})

interface Session extends Staged {
  readonly name: string
  readonly effects: Effect[]
}

const [plain] = parseTranscripts('# settings', '')
assert.ok(plain !== undefined)
const { settings } = plain

function session(name: string): Session {
  return {
    name,
    effects: [],
    front: 'authup',
    actors: {
      reup: newReup(2),
      authup: newAuthup(dialogueOf(settings), ''),
      checkpassword: newCheckpassword,
      fixsmtpio: undefined,
    },
  }
}

void describe('the stages', () => {
  void it('carry frames from actor to actor, and effects to whoever performs them', () => {
    const one = session('one')
    const stages = createStages<Session>(
      (of, effect) => void (effect.do !== 'note' && of.effects.push(effect)),
      () => assert.fail('nothing threw'),
    )
    stages.post(one, [TAG.start, 1])
    stages.post(one, [TAG.input, 1, bytes(`AUTH PLAIN ${Buffer.from('\0me\0x').toString('base64')}\r\n`)])
    stages.post(one, [TAG.answer, 1, 'exit', 1, ''])
    assert.deepEqual(
      one.effects.map((effect) => effect.do),
      ['reply', 'log', 'ask-helper', 'log', 'reply', 'room'],
    )
    assert.equal(one.actors.reup.tries, 1)
  })

  void it('post within an effect waits its turn: no actor runs inside another', () => {
    const order: string[] = []
    const [one, two] = [session('one'), session('two')]
    const stages = createStages<Session>(
      (of, effect) => {
        if (effect.do !== 'reply') return
        order.push(`${of.name} begins`)
        if (of === one) stages.post(two, [TAG.start, 2])
        order.push(`${of.name} ends`)
      },
      () => assert.fail('nothing threw'),
    )
    stages.post(one, [TAG.start, 1])
    assert.deepEqual(order, ['one begins', 'one ends', 'two begins', 'two ends'])
  })

  for (const [what, broken] of [
    ['an actor that throws', 'actor'],
    ['an effect that cannot be performed', 'effect'],
  ] as const)
    void it(`${what} ends its session and no other`, () => {
      const [one, two] = [session('one'), session('two')]
      const failed: string[] = []
      const stages = createStages<Session>(
        (of, effect) => {
          if (broken === 'effect' && of === one && effect.do === 'reply') throw new Error('a bug')
          if (effect.do !== 'note') of.effects.push(effect)
        },
        (of, actor, error) => failed.push(`${of.name} ${actor} ${String(error)}`),
      )
      if (broken === 'actor') {
        one.actors.authup = {
          ...one.actors.authup,
          get at(): 'commands' {
            throw new Error('a bug')
          },
        }
      }
      stages.post(one, [TAG.start, 1])
      stages.post(two, [TAG.start, 2])
      stages.post(two, [TAG.input, 2, bytes('NOOP\r\n')])
      assert.deepEqual(failed, ['one authup Error: a bug'])
      assert.deepEqual(
        two.effects.map((effect) => (effect.do === 'reply' ? effect.text : effect.do)),
        ['220 mx.example ESMTP\r\n', '250 ok\r\n'],
      )
    })
})
