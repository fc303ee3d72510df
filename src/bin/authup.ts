// authup [ -t TRIES ] <smtp|pop3> PROG [ ARG ... ] [ -- PROG [ ARG ... ] ]: lets a client log in, then PROG serves it.

import { runAuthup } from '../classic/authup.ts'
import { type Controls, controlsOf, handedControls, homeOf, leadingNumber, Unreadable } from '../classic/control.ts'
import { joinHelper, NoHelper, parseLaunch } from '../classic/helper.ts'
import { readOptions } from '../classic/options.ts'
import { die, say, tell } from '../classic/process.ts'
import { tlsDescriptors, tlsLevel } from '../classic/ucspi.ts'
import { PASSWORDS, saslOf } from '../config/mechanisms.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import { pop3 } from '../protocol/pop3.ts'
import { CHECKED_MECHANISMS, CREDENTIALS_LIMIT, type LoginMethod } from '../protocol/sasl.ts'
import { smtp } from '../protocol/smtp.ts'

const DEFAULT_TRIES = { smtp: 5, pop3: 1 }
/** Inside TLS; outside it reup counts. */
const TRIES_UNDER_REUP = 5
/** Seconds. Without a number of tries reup lets one connection guess forever. */
const DELAY_UNDER_REUP = 5
const LONGEST_DELAY = 3600
const TIMEOUT_FILES = { smtp: 'timeoutsmtpd', pop3: 'timeoutpop3d' }

interface CommandLine {
  readonly protocol: 'smtp' | 'pop3'
  /** 0: none were named. */
  readonly tries: number
  /** There is a chain for those who do not log in. */
  readonly guests: boolean
}

const usage = (): never => die('authup: usage: authup [ -t tries ] <smtp|pop3> prog', 1)

function commandLine(words: readonly string[], called: string): CommandLine {
  const options = readOptions(words, 't')
  if (options.problem !== undefined) {
    tell(`${called}: ${options.problem}`)
    usage()
  }
  const given = options.given.get('t')
  const tries = given === undefined ? 0 : (leadingNumber(given) ?? usage())
  const [name = '', ...rest] = options.rest
  const protocol = name.toLowerCase()
  if (protocol !== 'smtp' && protocol !== 'pop3') return usage()
  const divider = rest.indexOf('--')
  const guests = divider >= 0
  // native/authup.c has handed the chains to the helper.
  if (rest.length === 0 || divider === 0 || divider === rest.length - 1) usage()
  return { protocol, guests, tries }
}

function dialogueFrom(controls: Controls, protocol: 'smtp' | 'pop3', guest: boolean): DialogueSettings {
  const capabilities = controls.lines(`${protocol}capabilities`)
  const greeting = controls.greeting(`${protocol}greeting`)
  if (capabilities === undefined) throw new Unreadable(`there is no control/${protocol}capabilities`)
  return {
    protocol,
    greeting,
    capabilities,
    // `1` is how the published run scripts of acceptutils say that TLS is required.
    tls: tlsLevel(process.env, ['!', '1']),
    brokenClients: process.env['AUTHUP_SASL_BROKEN_CLIENTS'] !== undefined,
    guest: guest && protocol === 'smtp',
    mechanisms: mechanismsFrom(controls, protocol, capabilities),
    credentials: CREDENTIALS_LIMIT,
    classic: true,
  }
}

/** What there is by the records, and what AUTHUP_MECHANISMS adds for a checkpassword that can check it. */
function mechanismsFrom(
  controls: Controls,
  protocol: 'smtp' | 'pop3',
  capabilities: readonly string[],
): readonly LoginMethod[] {
  const words = (process.env['AUTHUP_MECHANISMS'] ?? '').toUpperCase().split(/[ ,]+/)
  const more = CHECKED_MECHANISMS.filter((name) => words.includes(name))
  if (protocol === 'smtp') return [...new Set([...PASSWORDS, ...more.filter((name) => name !== 'APOP')])]
  const apop: readonly LoginMethod[] = controls.number('pop3apop', 0) === 1 ? ['APOP'] : []
  return [...new Set<LoginMethod>(['USER', ...apop, ...saslOf(capabilities), ...more])]
}

const NO_DIALOGUE: DialogueSettings = {
  protocol: 'smtp',
  greeting: '',
  capabilities: [],
  tls: 'none',
  brokenClients: false,
  guest: false,
  mechanisms: [],
  credentials: CREDENTIALS_LIMIT,
  classic: true,
}

function main(words: readonly string[]): void {
  const { env } = process
  const launch = parseLaunch(env['AUTHUP_LAUNCHER'] ?? '')
  if (launch.name === '') die('authup: authup.js is run by the program authup beside it', 1)
  const { protocol, tries, guests } = commandLine(words, launch.name)
  const attempt = env['REUP']
  const once = attempt !== undefined
  if (!once) tell(`authup ${process.pid} protocol ${protocol}`)
  const handed = env['AUTHUP_CONTROLS']
  const controls = controlsOf(homeOf(env), handed === undefined ? undefined : handedControls(handed))
  try {
    const dialogue = dialogueFrom(controls, protocol, guests)
    const timeout = controls.number(TIMEOUT_FILES[protocol], 1200)
    const tls = dialogue.tls === 'none' ? undefined : tlsDescriptors(env)
    const bareLineEnd = controls.line('barelineend') === 'refuse' ? 'refuse' : 'fix'
    runAuthup({
      dialogue,
      tries: tries > 0 ? tries : once ? TRIES_UNDER_REUP : DEFAULT_TRIES[protocol],
      tls,
      timeout,
      bareLineEnd,
      once,
      delay: Math.min(leadingNumber(env['AUTHUP_DELAY'] ?? '') ?? (once ? DELAY_UNDER_REUP : 0), LONGEST_DELAY),
      greet: (leadingNumber(attempt ?? '') ?? 1) === 1,
      joinHelper: (answered) => joinHelper(launch, answered),
    })
  } catch (error) {
    if (!(error instanceof Unreadable || error instanceof NoHelper)) throw error
    // What cannot be read is recorded without a line; who debugs hears of it.
    if (error instanceof NoHelper || env['AUTHUP_DEBUG'] !== undefined) tell(`authup: ${error.message}`)
    const view = {
      settings: { ...NO_DIALOGUE, protocol },
      tlsOn: false,
      trusted: false,
      timestamp: '',
      user: undefined,
      external: [],
    }
    const said = (protocol === 'smtp' ? smtp : pop3).fault('control', view)
    say(said)
    process.exit(once ? 12 : 1)
  }
}

main(process.argv.slice(2))
