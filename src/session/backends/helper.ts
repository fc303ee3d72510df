// A cold login: accept-helper runs the chain, and the stream that asked for it becomes the backend's.

import { askHelper } from '../../edge/helper.ts'
import type { Reading } from '../../edge/reading.ts'
import type { HelperPlace } from '../../protocol/helper.ts'
import type { BackendSource } from './backends.ts'

export const helperBackends = (place: HelperPlace, { socketOptions }: Reading): BackendSource => ({
  open: ({ kind, session, chain, environment, credentials }, done) =>
    askHelper(
      place,
      { kind, session, chain, environment, credentials },
      (status, backend, said) => {
        if (status.is !== 'ok') done(status)
        else if (backend === undefined) done({ is: 'unreachable' })
        else done({ backend, accepted: status.accepted, said, introduced: '', ticket: '' })
      },
      socketOptions,
    ),
})
