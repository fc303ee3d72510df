// The other mail servers. None is required: the table says which were absent.
import type { Fixture } from '../fixture.ts'
import type { Side } from '../side.ts'
import { dovecotSide } from './dovecot.ts'
import { harakaSide } from './haraka.ts'
import { postfixSide } from './postfix.ts'
import { smtpServerSide } from './smtp-server.ts'

export type PeerName = 'postfix' | 'postfix, discarding' | 'dovecot' | 'haraka' | 'smtp-server'

export const peerSides = (fixture: Fixture): readonly (Side & { readonly name: PeerName })[] => [
  postfixSide(fixture, 'queueing'),
  postfixSide(fixture, 'discarding'),
  dovecotSide(fixture),
  harakaSide(fixture),
  smtpServerSide(fixture),
]
