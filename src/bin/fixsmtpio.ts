// fixsmtpio PROG [ ARG ... ]: puts what PROG and its client say to each other through control/fixsmtpio.

import { controlsOf, homeOf, Unreadable } from '../classic/control.ts'
import { runFixsmtpio, runInstead } from '../classic/fixsmtpio.ts'
import { die, tell } from '../classic/process.ts'
import { tlsLevel } from '../classic/ucspi.ts'
import { parseRules } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'

const CONTROLS_FAILED = 18

function main(argv: readonly string[]): void {
  const { env } = process
  if (argv.length === 0) die('fixsmtpio: usage: fixsmtpio prog [ arg ... ]', 1)
  const loggedIn = env['AUTHUP_USER'] !== undefined
  if (env['NOFIXSMTPIO'] !== undefined) {
    runInstead(argv, loggedIn)
    return
  }
  const controls = controlsOf(homeOf(env))
  const debug = env['FIXSMTPIODEBUG'] !== undefined
  try {
    const greeting = controls.greeting('smtpgreeting')
    const timeout = controls.number('timeoutsmtpd', 1200)
    const bareLineEnd = controls.line('barelineend') === 'refuse' ? 'refuse' : 'fix'
    const parsed = parseRules(controls.text('fixsmtpio') ?? '', 'control/fixsmtpio')
    if (parsed.isErr()) {
      tell('fixsmtpio: unable to parse control/fixsmtpio')
      // Recorded as one line; who debugs hears where.
      if (debug)
        for (const { file, line, column, problem, hint } of parsed.error)
          tell(`${file}:${line}:${column}: ${problem}; ${hint}`)
      process.exit(CONTROLS_FAILED)
    }
    const rules = rulesFor(parsed.value, (name) => env[name] !== undefined)
    runFixsmtpio({ argv, rules, greeting, timeout, tls: tlsLevel(env, ['!']), bareLineEnd, loggedIn, debug })
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    tell('fixsmtpio: unable to read controls')
    if (debug) tell(error.message)
    // As recorded; but after a login authup would take it for a refused password.
    process.exit(loggedIn ? CONTROLS_FAILED : 1)
  }
}

main(process.argv.slice(2))
