// The other mail servers. None is required: the table says which were absent.
import type { Bed } from '../bed.ts'
import type { Side } from '../side.ts'
import { dovecotSide } from './dovecot.ts'
import { harakaSide } from './haraka.ts'
import { postfixSide } from './postfix.ts'
import { smtpServerSide } from './smtp-server.ts'

export const peerSides = (bed: Bed): readonly Side[] => [
  postfixSide(bed),
  dovecotSide(bed),
  harakaSide(bed),
  smtpServerSide(bed),
]
