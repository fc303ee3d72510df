// The program fixsmtpio: client on descriptors 0 and 1, the mail program as a child.
//
//   0, 1 (after STARTTLS: SSLREADFD, SSLWRITEFD) ══> fixsmtpio actor <══ stdin and stdout of the child

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { FixsmtpioEffect } from '../actors/effects.ts'
import { type FixsmtpioFrame, fixsmtpio, NO_ASKS, newFixsmtpio } from '../actors/fixsmtpio.ts'
import { TAG } from '../actors/frames.ts'
import { fieldsText } from '../edge/log.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import { REQUEST_LIMIT } from '../protocol/lines.ts'
import type { SessionRules } from '../rules/rewrite.ts'
import { Client } from './client.ts'
import { die, tell } from './process.ts'
import { Relay } from './relay.ts'
import { startTls, type TlsLevel, tlsDescriptors } from './ucspi.ts'

export interface FixsmtpioProgram {
  readonly argv: readonly string[]
  readonly rules: SessionRules
  readonly greeting: string
  /** Seconds that client and backend may both be silent. */
  readonly timeout: number
  readonly tls: TlsLevel
  readonly bareLineEnd: BareLineEnd
  /** AUTHUP_USER is set. */
  readonly loggedIn: boolean
  readonly debug: boolean
}

const NAME = 'fixsmtpio'
const SESSION = 0
const CRASHED = 1
const SIGNALLED = 256
/** A child that does not end on the end of its input is told to, and then made to. */
const TERM_AFTER = 30_000
const KILL_AFTER = 5_000

const plaintextDropped = (octets: number): void =>
  tell(`${NAME} ${process.pid} attack: discarded ${octets} octets of plaintext sent before TLS`)

export function runFixsmtpio(program: FixsmtpioProgram): void {
  const [path = '', ...words] = program.argv
  const base = path.split('/').filter(Boolean).pop() ?? path
  let child: ChildProcess | undefined
  /** It has been waited for; its last words may still be on the way. */
  let childGone = true
  let exit: number | undefined
  let wantTls = false
  let restart = false
  let clientGone = false

  let state = newFixsmtpio({
    rules: program.rules,
    greeting: program.greeting,
    tls: program.tls,
    debug: program.debug,
    classic: true,
    loggedIn: program.loggedIn,
    longest: REQUEST_LIMIT,
    warm: false,
    introduced: '',
    peer: '',
    senders: undefined,
    asks: NO_ASKS,
    enhanced: false,
    chunking: false,
    size: Number.POSITIVE_INFINITY,
  })

  const client = new Client(0, 1, 'stream', {
    input: (bytes) => relay.fromClient(bytes),
    ended: () => {
      if (clientGone) return
      clientGone = true
      post([TAG.eof, SESSION])
    },
    drained: () => relay.clientDrained(),
  })
  // The mail program behind us counts the same seconds and has the better last words, so it goes first.
  const silence = program.timeout * 1000 + Math.min(10_000, program.timeout * 100 + 50)
  const timer = setTimeout(() => post([TAG.timeout, SESSION]), Math.min(silence, 2 ** 31 - 1))
  const relay = new Relay({
    client,
    bareLineEnd: program.bareLineEnd,
    post,
    seen: () => timer.refresh(),
    debug: program.debug
      ? (mark, text) => {
          const line = text.endsWith('\n') ? text.slice(0, -1) : `${text}\r`
          tell(`${NAME} ${process.pid} ${base} ${child?.pid ?? 0} ${mark}: ${line}`)
        }
      : undefined,
  })

  const inbox: FixsmtpioFrame[] = []
  let delivering = false
  /** A frame that comes while another is at work waits its turn. */
  function post(frame: FixsmtpioFrame): void {
    inbox.push(frame)
    if (delivering) return
    delivering = true
    for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
      const step = fixsmtpio(state, next)
      state = step.state
      for (const effect of step.effects) perform(effect)
    }
    delivering = false
    if (wantTls) {
      wantTls = false
      beginTls()
    } else relay.settle()
    if (exit !== undefined) finish()
  }

  function perform(effect: FixsmtpioEffect): void {
    switch (effect.do) {
      case 'ask-limits':
        throw new Error('the program fixsmtpio has no limits')
      case 'send':
        inbox.push(effect.frame)
        break
      case 'start-tls':
        if (effect.discarded > 0) plaintextDropped(effect.discarded)
        wantTls = true
        break
      case 'room':
        if (!restart) relay.perform(effect)
        break
      case 'close':
        exit ??= effect.exit
        break
      case 'log':
        if (effect.event === 'tls-failed') tell(`${NAME}: TLS temporarily not available`)
        if (effect.said !== '') tell(`${NAME}: mail program spoke nonsense${fieldsText({ said: effect.said })}`)
        break
      case 'reply':
      case 'request':
      case 'hold':
      case 'body':
      case 'end-requests':
      case 'debug':
        relay.perform(effect)
        break
      // For those who watch acceptd.
      case 'note':
      case 'hits':
        break
    }
  }

  // ---- the child

  function start(): void {
    const started = spawn(path, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    child = started
    childGone = false
    let outputEnded = false
    let how: number | undefined
    const settle = (): void => {
      if (how === undefined || child !== started) return
      childGone = true
      if (exit !== undefined) finish()
      else if (restart) afterRestart()
      else if (outputEnded) {
        if (how >= SIGNALLED) tell(`${NAME}: aack, child crashed`)
        relay.ended(how)
      }
    }
    started.on('error', () => {
      if (started.pid === undefined) unableToExec(program.loggedIn)
    })
    started.on('exit', (code, signal) => {
      how = signal === null ? (code ?? 0) : SIGNALLED
      settle()
    })
    if (started.pid === undefined) return
    const output = started.stdout as unknown as Socket
    output.on('close', () => {
      outputEnded = true
      settle()
    })
    relay.attach({ input: started.stdin as unknown as Socket, output })
  }

  function restartChild(): void {
    relay.detach()
    if (childGone) afterRestart()
    else stop(0)
  }

  function afterRestart(): void {
    restart = false
    start()
    relay.perform({ do: 'room' })
  }

  function stop(delay: number): void {
    const stopping = child
    const term = (): void => {
      stopping?.kill('SIGTERM')
      setTimeout(() => stopping?.kill('SIGKILL'), KILL_AFTER).unref()
    }
    if (delay === 0) term()
    else setTimeout(term, delay)
  }

  // ---- TLS

  function beginTls(): void {
    startTls(client, tlsDescriptors(process.env), silence, (variables, discarded) => {
      if (discarded > 0) plaintextDropped(discarded)
      if (variables !== undefined) {
        for (const variable of variables) {
          const at = variable.indexOf('=')
          process.env[variable.slice(0, at)] = variable.slice(at + 1)
        }
        process.env['FIXSMTPIOTLS'] = '1'
        delete process.env['UCSPITLS']
        delete process.env['DISABLETLS']
        restart = true
      }
      post([TAG.tls, SESSION, variables !== undefined])
      if (restart) restartChild()
    })
  }

  // ---- the end

  let finishing = false
  function finish(): void {
    clearTimeout(timer)
    if (!finishing) {
      finishing = true
      relay.close()
      if (!childGone) stop(TERM_AFTER)
    }
    if (!childGone) return
    // A client that does not take its last bytes cannot keep us for ever.
    setTimeout(() => process.exit(exit ?? CRASHED), silence)
    client.whenWritten(() => process.exit(exit ?? CRASHED))
  }

  start()
}

/** As recorded; but after a login authup would take 1 for a refused password, and takes 111 for a temporary failure. */
function unableToExec(loggedIn: boolean): never {
  return die(`${NAME}: unable to exec`, loggedIn ? 111 : 1)
}

/** NOFIXSMTPIO: the program itself, with our descriptors; its end is ours. */
export function runInstead([path = '', ...words]: readonly string[], loggedIn: boolean): void {
  const child = spawn(path, words, { stdio: 'inherit' })
  child.on('error', () => unableToExec(loggedIn))
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGALRM'] as const)
    process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 0)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
