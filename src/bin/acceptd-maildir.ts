// acceptd-maildir smtp|pop3 [ MAILDIR ]: the backend of `npm start`, run as the user who logged in, on descriptors 0 and 1. A demonstration:
// it files what is submitted in the user's own Maildir and serves that Maildir; nothing is ever sent anywhere.

import { hostname } from 'node:os'
import { openMaildir, sweepMaildir } from '../trial/maildir.ts'
import { servePop3 } from '../trial/pop3.ts'
import { serveSmtp } from '../trial/smtp.ts'
import { Wire } from '../trial/wire.ts'

/** Octets of a message, unless DATABYTES says otherwise (qmail-smtpd's name for it). */
const MOST = 32 * 1024 * 1024

function main([protocol, maildir = 'Maildir', ...rest]: readonly string[]): number {
  if ((protocol !== 'smtp' && protocol !== 'pop3') || rest.length > 0) {
    process.stderr.write('acceptd-maildir: usage: acceptd-maildir smtp|pop3 [ Maildir ]\n')
    return 100
  }
  const { HOME = '.', AUTHUP_USER, USER, TCPREMOTEIP = 'unknown', DATABYTES = '', SSL_PROTOCOL } = process.env
  const path = maildir.startsWith('/') ? maildir : `${HOME}/${maildir}`
  const wire = new Wire()
  try {
    openMaildir(path)
  } catch (error) {
    process.stderr.write(`acceptd-maildir: ${(error as Error).message}\n`)
    wire.send(Buffer.from(protocol === 'smtp' ? '421 4.3.0 no mailbox\r\n' : '-ERR [SYS/TEMP] no mailbox\r\n'))
    return 111
  }
  if (protocol === 'pop3') servePop3(wire, path)
  else {
    sweepMaildir(path)
    serveSmtp(wire, {
      maildir: path,
      host: hostname(),
      user: AUTHUP_USER ?? USER ?? '',
      ip: TCPREMOTEIP,
      tls: SSL_PROTOCOL !== undefined,
      most: /^[1-9]\d{0,14}$/.test(DATABYTES) ? Number(DATABYTES) : MOST,
    })
  }
  return 0
}

try {
  process.exit(main(process.argv.slice(2)))
} catch (error) {
  // The client, or acceptd between us, is gone.
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
  throw error
}
