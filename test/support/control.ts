// Control files for tests that need a whole configuration, and what a transcript's settings mean in them.

import { readFileSync } from 'node:fs'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { capabilitiesOf, type Settings } from './transcript.ts'

const RECOMMENDED = readFileSync('control/fixsmtpio', 'latin1')

export const CHAINS = `account 1000
socket /nowhere/helper.sock
chain submission
  checkpassword builtin
  backend /bin/cat
chain warm
  checkpassword builtin
  warm 60
  backend /bin/cat
chain certified
  kind certificate
  checkpassword builtin
  backend /bin/cat
chain open
  kind guest 1000 1000
  backend /bin/cat
`

/** The chain submission with what the settings say about its checkpassword; the built-in one knows no plain passwords. */
function chainsFor({ apop, mechanisms, credentials }: Settings): string {
  if (mechanisms.length === 0 && credentials === 512) return CHAINS
  const named = [...mechanisms, ...(apop ? ['APOP'] : [])].join(' ')
  const words = [
    'checkpassword /bin/true',
    `credentials ${credentials}`,
    ...(named === '' ? [] : [`mechanisms ${named}`]),
  ]
  return CHAINS.replace('checkpassword builtin', words.join('\n  '))
}

/** A listener on loopback with one chain, as the settings say. */
export function controlTexts(settings: Settings, chain = 'submission'): ControlTexts {
  const { protocol, tries, guest, trusted } = settings
  return {
    me: 'mx.example\n',
    smtpcapabilities: capabilitiesOf(settings)
      .map((line) => `${line}\n`)
      .join(''),
    pop3capabilities: 'UIDL\nSASL PLAIN LOGIN\n',
    timeoutsmtpd: `${settings.timeout}\n`,
    timeoutpop3d: `${settings.timeout}\n`,
    ...(settings.from === '' ? {} : { senders: `* ${settings.from}\n`, headerfrom: '1\n' }),
    xclient: settings.tells ? '1\n' : '0\n',
    barelineend: `${settings.bare}\n`,
    pop3apop: settings.apop ? '1\n' : '0\n',
    saslbrokenclients: settings.broken ? '1\n' : '0\n',
    loglevel: 'debug\n',
    fixsmtpio: RECOMMENDED + settings.rules,
    listeners: `127.0.0.1:0 ${protocol} ${chain} tries=${tries}${guest ? ' guest=open' : ''}${trusted ? ' xclient=0.0.0.0/0' : ''}\n`,
    chains: chainsFor(settings),
  }
}
