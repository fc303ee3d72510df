// Every transcript in line, whole and byte by byte: the same bytes on both sides.
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { inlineWorld } from '../support/inline.ts'
import { byteByByte, play, readTranscripts, whole } from '../support/transcript.ts'

const DIR = 'test/actors/transcripts'

for (const file of readdirSync(DIR).toSorted())
  void describe(`transcripts of ${file}`, () => {
    for (const transcript of readTranscripts(`${DIR}/${file}`)) {
      void it(transcript.title, async () => {
        await play(transcript, inlineWorld(transcript.settings), whole)
      })
      void it(`${transcript.title} (byte by byte)`, async () => {
        await play(transcript, inlineWorld(transcript.settings), byteByByte)
      })
    }
  })
