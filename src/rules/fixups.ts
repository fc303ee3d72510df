// The replies that acceptd computes itself: one row an event, used where a rule's response is &fixsmtpio_fixup.

/** Who we say we are. */
export interface Identity {
  /** control/smtpgreeting, else control/me. */
  readonly greeting: string
  /** 'offer': the EHLO fix-up adds STARTTLS. */
  readonly tls: 'none' | 'offer'
  /** The program fixsmtpio by itself: the EHLO fix-up knows STARTTLS in capital letters only, as recorded. */
  readonly classic: boolean
  /** EHLO promised ENHANCEDSTATUSCODES: what we say begins with one (RFC 2034). */
  readonly enhanced: boolean
}

/** The HELP fix-up names the page of the programs whose behaviour this is. */
export const HOME_PAGE = 'https://schmonz.com/qmail/acceptutils/'

/** The reply line as earlier rules left it, its number in the backend's reply from 0; what takes its place: '', a line, or several. */
type FixUp = (line: string, number: number, who: Identity) => string

const STARTTLS = '250-STARTTLS\r\n'

function fixEhlo(line: string, number: number, who: Identity): string {
  if (number === 0) return `250 ${who.greeting}`
  // A backend's STARTTLS is not for the client: it would negotiate with a program that sees only our end.
  const offered = who.classic ? /^250[- ]STARTTLS\r?\n$/ : /^.{3,4}STARTTLS(?![A-Z0-9-])/i
  const kept = offered.test(line) ? '' : line
  // Ours goes before the backend's second line; a reply of one line has none, and acceptutils offered nothing there either.
  return number === 1 && who.tls === 'offer' && !kept.startsWith(STARTTLS) ? STARTTLS + kept : kept
}

const ODD_KEYWORD = /^\d{3}.[A-Z0-9-]*[a-z]|(?:^|[^\r])\n$/

/** RFC 5321 4.1.1.1: keywords of EHLO "MUST always be recognized and processed in a case-insensitive manner". */
export function plainKeyword(line: string): string {
  if (!ODD_KEYWORD.test(line)) return line
  return line
    .replace(/^(\d{3}.)([A-Za-z0-9-]+)/, (_all, code: string, word: string) => code + word.toUpperCase())
    .replace(/\r?\n$/, '\r\n')
}

/** RFC 2034 section 4: not in a greeting, and not in the replies to EHLO and HELO. */
const status = (who: Identity): string => (who.enhanced ? '2.0.0 ' : '')

const FIX_UPS: Readonly<Record<string, FixUp>> = {
  greeting: (_line, _number, who) => `220 ${who.greeting} ESMTP`,
  ehlo: fixEhlo,
  helo: (_line, _number, who) => `250 ${who.greeting}`,
  help: (line, _number, who) => `214 ${status(who)}fixsmtpio home page: ${HOME_PAGE}\r\n${line}`,
  quit: (_line, _number, who) => `221 ${status(who)}${who.greeting}`,
}

export const FIX_UP_EVENTS: readonly string[] = Object.keys(FIX_UPS)

export function fixUpFor(event: string): FixUp | undefined {
  return Object.hasOwn(FIX_UPS, event) ? FIX_UPS[event] : undefined
}
