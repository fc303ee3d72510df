// Every transcript again, in a real lane: a worker thread, a real socket, a helper and a backend on another one.
import { readdirSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { endWorker, laneWorld } from '../support/lane.ts'
import { play, readTranscripts } from '../support/transcript.ts'

const DIR = 'test/actors/transcripts'
after(endWorker)

// All lanes of the worker share the clock: transcripts in which time passes are played in turn.
for (const passes of [false, true])
  void describe(`transcripts in a real lane${passes ? ', as time passes' : ''}`, {
    concurrency: passes ? 1 : 8,
  }, () => {
    for (const file of readdirSync(DIR).toSorted())
      for (const transcript of readTranscripts(`${DIR}/${file}`)) {
        if (transcript.steps.some(({ who, text }) => who === '..' && text.endsWith('ms')) !== passes) continue
        void it(`${file}: ${transcript.title}`, async () => {
          const world = await laneWorld(transcript.settings)
          try {
            await play(transcript, world)
          } finally {
            await world.lane.stop()
          }
        })
      }
  })
