// Frames as msgpack bytes, the same inside a lane and between threads.

import { Packr } from 'msgpackr'
import type { Frame } from '../actors/frames.ts'

const packr = new Packr({ useRecords: false, moreTypes: false })

/** The bytes stay valid: msgpackr takes each frame from the next part of its buffer. */
export const encodeFrame = (frame: Frame): Uint8Array => packr.pack(frame)

/** Byte fields are views of `bytes`: an actor copies what it keeps. */
export const decodeFrame = (bytes: Uint8Array): Frame => packr.unpack(bytes) as Frame

/** A message between the main thread and a lane. It is copied out of msgpackr's shared buffer, since a posted view would take all of it along. */
export const encodeMessage = (message: unknown): Uint8Array<ArrayBuffer> => new Uint8Array(packr.pack(message))

export const decodeMessage = (bytes: Uint8Array): unknown => packr.unpack(bytes)
