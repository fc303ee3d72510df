// control/watchcontrol: a change of the control directory is a reload, once nothing in it has changed for half a second, so that no file is
// read half written and an editor's several writes are one change. Looked at, not listened to: that holds for links and remote file systems.

import { join } from 'node:path'
import { filesIn } from '../config/knobs.ts'
import { fileMark } from '../edge/certificates.ts'
import type { Runtime } from './runtime.ts'

const LOOK_MILLISECONDS = 125
/** Looks that have to find the same. */
const STILL = 4

/** Returns a look at the directory. `reload` is called for changes that looks find while the knob is 1. */
export function createWatch({ publishing }: Pick<Runtime, 'publishing'>, reload: () => void): () => void {
  const marks = () =>
    filesIn(publishing.current.texts)
      .map((name) => fileMark(join(publishing.control, name)))
      .join(' ')
  let read = marks()
  let seen = read
  let still = 0
  return () => {
    const now = marks()
    still = now === seen ? still + 1 : 0
    seen = now
    if (!publishing.current.config.watch) read = now
    if (now === read || still < STILL) return
    read = now
    reload()
  }
}

export function watchControl(runtime: Pick<Runtime, 'publishing'>, reload: () => void): void {
  setInterval(createWatch(runtime, reload), LOOK_MILLISECONDS).unref()
}
