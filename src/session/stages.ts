// Carries frames between the actors of a lane and hands their effects to their performer.
//
//   post(session, frame) ─> inbox ─> the actor that ROUTES names ─> effects ─┬─ send ─> inbox
//                                                                            └─ any other ─> perform(session, effect)

import type { Performed } from '../actors/effects.ts'
import { type Frame, TAG } from '../actors/frames.ts'
import { type ActorName, type Actors, type Front, ROUTES, receive } from '../actors/pipeline.ts'
import { wipe } from '../protocol/bytes.ts'
import { decodeFrame, encodeFrame } from './codec.ts'

/** A session as the stages see it. */
export interface Staged {
  readonly actors: Actors
  /** Who talks to the client. */
  front: Front
}

export interface Stages<S extends Staged> {
  /** Wipes what the client sent before login, in the frame given and in its own copy. */
  post(session: S, frame: Frame): void
}

export function createStages<S extends Staged>(
  perform: (session: S, effect: Performed) => void,
  /** An exception of ours: it ends this session and no other. */
  failed: (session: S, actor: ActorName, error: unknown) => void,
): Stages<S> {
  /** Session, frame, session, frame, ...; undefined while nothing is delivered. */
  let inbox: (S | Uint8Array)[] | undefined

  function deliver(session: S, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes)
    try {
      for (const effect of receive(session.actors, session.front, frame)) {
        if (effect.do === 'send') inbox?.push(session, encode(effect.frame))
        else perform(session, effect)
      }
    } catch (error) {
      const route = ROUTES[frame[0]]
      failed(session, route === 'front' ? session.front : route, error)
    } finally {
      // The actor has copied what it keeps.
      if (frame[0] === TAG.input) wipe(bytes)
    }
  }

  /** The frame has its own copy of a password; its receiver wipes that one. */
  function encode(frame: Frame): Uint8Array {
    const bytes = encodeFrame(frame)
    if (frame[0] === TAG.input) wipe(frame[2])
    else if (frame[0] === TAG.login) wipe(frame[3])
    return bytes
  }

  return {
    post(session, frame) {
      // A frame posted while another is at work waits its turn: an actor never runs inside another one.
      if (inbox !== undefined) {
        inbox.push(session, encode(frame))
        return
      }
      const frames: (S | Uint8Array)[] = [session, encode(frame)]
      inbox = frames
      try {
        for (let i = 0; i < frames.length; i += 2) deliver(frames[i] as S, frames[i + 1] as Uint8Array)
      } finally {
        inbox = undefined
      }
    },
  }
}
