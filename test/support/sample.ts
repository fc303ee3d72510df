// A session as the control plane describes it, for tests of what is done with such descriptions.

import type { SessionDetail } from '../../src/contract/session-view.ts'

export const sampleSession = (n: number, more: Partial<SessionDetail> = {}): SessionDetail => ({
  id: `1.${n.toString(16).padStart(4, '0')}`,
  protocol: 'smtp',
  state: 'ready',
  listener: 'submission',
  lane: n % 2,
  generation: 1,
  ip: `192.0.2.${n % 250}`,
  port: 40_000 + (n % 20_000),
  user: n % 3 === 0 ? 'alice' : `user${n}`,
  started: 1_700_000_000_000 + n * 1000,
  idle: 1_700_000_100_000 + n,
  messages: n % 5,
  recipients: n % 7,
  bytesIn: n * 10,
  bytesOut: n * 3,
  lastVerb: 'RSET',
  verbs: [{ at: 1_700_000_000_500, verb: 'MAIL', code: '250' }],
  actors: [{ name: 'fixsmtpio', at: 'commands', waiting: 0 }],
  ...more,
})
