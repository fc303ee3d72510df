// Every word that can begin a request, and every other event that a rule can name.

/** Commands of SMTP and POP3, in capitals. */
const COMMANDS =
  'HELO EHLO LHLO AUTH STARTTLS MAIL RCPT DATA BDAT BURL RSET NOOP QUIT HELP VRFY EXPN ETRN ATRN TURN SEND SOML SAML XCLIENT XFORWARD ' +
  'USER PASS APOP CAPA STLS STAT LIST RETR DELE TOP UIDL LAST UTF8 LANG'

/** What happens to a session without a request of the client. */
const HAPPENINGS = 'GREETING TIMEOUT CLIENTEOF IN_DATA LOGIN'

export const VERBS: ReadonlySet<string> = new Set(`${COMMANDS} ${HAPPENINGS}`.split(' '))
