// A thread with some of one session's actors: frames in, effects out, as bytes.
import { parentPort, workerData } from 'node:worker_threads'
import { newAuthup } from '../../src/actors/authup-state.ts'
import { newCheckpassword } from '../../src/actors/checkpassword.ts'
import { NO_ASKS, newFixsmtpio } from '../../src/actors/fixsmtpio.ts'
import { type ActorName, type Actors, receive } from '../../src/actors/pipeline.ts'
import { newReup } from '../../src/actors/reup.ts'
import { rulesFor } from '../../src/rules/rewrite.ts'
import { decodeFrame, encodeMessage } from '../../src/session/codec.ts'
import { dialogueOf, ruleSetOf } from './inline.ts'
import type { Settings } from './transcript.ts'

const { settings, names } = workerData as { settings: Settings; names: readonly ActorName[] }
const actors: Actors = {
  reup: newReup(settings.tries),
  authup: newAuthup(dialogueOf(settings), ''),
  checkpassword: newCheckpassword,
  fixsmtpio: newFixsmtpio({
    rules: rulesFor(ruleSetOf(settings), (name) => name === 'AUTHUP_USER'),
    greeting: 'mx.example',
    tls: 'none',
    debug: false,
    classic: false,
    loggedIn: false,
    longest: 65_536,
    warm: false,
    introduced: '',
    client: undefined,
    trusted: false,
    senders: undefined,
    from: undefined,
    peer: '192.0.2.1',
    asks: NO_ASKS,
    enhanced: false,
    chunking: false,
    size: Number.POSITIVE_INFINITY,
  }),
}

parentPort?.on('message', ({ name, bytes }: { name: ActorName; bytes: Uint8Array }) => {
  if (!names.includes(name)) throw new Error(`${name} lives elsewhere`)
  parentPort?.postMessage(encodeMessage(receive(actors, name === 'fixsmtpio' ? name : 'authup', decodeFrame(bytes))))
})
