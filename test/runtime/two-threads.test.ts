// Frames are bytes, so a session's stages could be anywhere: here they live in two threads, and the transcript does not notice.
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { it } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { Effect } from '../../src/actors/effects.ts'
import { type ActorName, ROUTES } from '../../src/actors/pipeline.ts'
import { decodeMessage, encodeFrame } from '../../src/session/codec.ts'
import type { ClientSession } from '../../src/session/session.ts'
import { inlineWorld } from '../support/inline.ts'
import { play, readTranscripts } from '../support/transcript.ts'

void it('a login and a message with the stages in two threads', async () => {
  const [transcript] = readTranscripts('test/actors/transcripts/after-login.txt')
  assert.ok(transcript !== undefined)
  const threads: { worker: Worker; names: readonly ActorName[] }[] = []
  let session: ClientSession | undefined
  let underWay = 0
  const answers = new EventEmitter()
  for (const names of [['reup', 'authup', 'checkpassword'], ['fixsmtpio']] as const) {
    const worker = new Worker(new URL('../support/split-worker.js', import.meta.url), {
      workerData: { settings: transcript.settings, names },
    })
    worker.on('message', (bytes: Uint8Array) => {
      for (const effect of decodeMessage(bytes) as readonly Effect[]) {
        if (session === undefined) continue
        if (effect.do === 'send') post(session, effect.frame)
        else session.perform(effect)
      }
      underWay -= 1
      if (underWay === 0) answers.emit('all')
    })
    threads.push({ worker, names })
  }
  const asked = new Set<ActorName>()
  function post(one: ClientSession, frame: Parameters<typeof encodeFrame>[0]): void {
    session = one
    const route = ROUTES[frame[0]]
    const name = route === 'front' ? one.front : route
    asked.add(name)
    underWay += 1
    // A copy: the view would take msgpackr's buffer along.
    threads
      .find((thread) => thread.names.includes(name))
      ?.worker.postMessage({ name, bytes: encodeFrame(frame).slice() })
  }
  try {
    await Promise.all(threads.map(({ worker }) => once(worker, 'online')))
    const world = inlineWorld(transcript.settings, (around) => ({ ...around, post }))
    const waiting = () => underWay > 0
    const settle = async () => {
      for (let quiet = 0; quiet < 2; quiet += 1) {
        await world.go(false)
        while (waiting()) await once(answers, 'all')
      }
      return world.go(false)
    }
    await play(transcript, {
      ...world,
      go: settle,
      end: async () => {
        world.client.close()
        await settle()
        return world.ended() === undefined ? 'the session has not ended' : ''
      },
    })
    assert.deepEqual([...asked].toSorted(), ['authup', 'checkpassword', 'fixsmtpio', 'reup'])
  } finally {
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }
})
