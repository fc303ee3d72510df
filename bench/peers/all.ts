// The other mail servers. None is required: the table says which were absent.
import type { Fixture } from '../fixture.ts'
import type { Side } from '../side.ts'
import { dovecotSide } from './dovecot.ts'
import { harakaSide } from './haraka.ts'
import { postfixSide } from './postfix.ts'
import { smtpServerSide } from './smtp-server.ts'

export const peerSides = (fixture: Fixture): readonly Side[] => [
  postfixSide(fixture),
  dovecotSide(fixture),
  harakaSide(fixture),
  smtpServerSide(fixture),
]
