// A rule in words, for a person who wonders what it does.
import { fixUpFor } from './fixups.ts'
import type { Rule } from './ruleset.ts'

/** What the event is, if it is no verb. */
const EVENTS: Readonly<Record<string, string>> = {
  greeting: "the mail program's first reply",
  in_data: 'the reply after a message',
  timeout: "the mail program's timeout",
  clienteof: "the rest of the client's input, once it has gone",
}

const LOGGED_IN = new Set(['AUTHUP_USER', 'AUTHUSER'])

/** Sentences: whose sessions, which lines, what happens to them, to the request and to the session. `greeting`: our own name. */
export function ruleWords(rule: Rule, greeting: string): readonly string[] {
  const { env, event, prepend, glob, exitcode } = rule
  const who =
    env === ''
      ? 'Applies to all sessions'
      : `Applies to sessions ${LOGGED_IN.has(env) ? 'that have logged in' : 'of this environment'} (${env} is set)`
  const what = EVENTS[event] ?? `the reply to ${event.toUpperCase()}`
  const which = glob === '*' ? 'every line' : `each line that matches ${glob}`
  const verb = event.toUpperCase()
  return [
    `${who}, at the event ${event}: ${what}.`,
    `${event === 'clienteof' ? 'Whatever is left' : `Of it, ${which}`} ${outcome(rule, greeting)}.`,
    ...(exitcode === undefined
      ? []
      : [`Where it matches, the session ends after the reply, with exit code ${exitcode}.`]),
    ...(prepend === ''
      ? []
      : [`Whatever the reply, the mail program hears ${prepend}${verb} ... in place of ${verb} ...`]),
  ]
}

function outcome({ event, response }: Rule, greeting: string): string {
  switch (response.kind) {
    case 'remove':
      return event === 'clienteof' ? 'is dropped' : 'is removed'
    case 'noop':
      return 'stays as earlier rules have left it'
    case 'replace':
      return `becomes ${response.text}`
    case 'fixup':
      return event === 'ehlo'
        ? `is as acceptd says it: the first ${fixed(event, greeting)}, STARTTLS only where acceptd offers it, the others as they are`
        : `becomes ${fixed(event, greeting)}`
  }
}

const fixed = (event: string, greeting: string): string =>
  (fixUpFor(event)?.('', 0, { greeting, tls: 'none', classic: false, enhanced: false }) ?? '').trim()
