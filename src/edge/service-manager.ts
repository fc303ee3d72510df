// The states of a daemon that its service manager follows: sd_notify(3). Node has no datagram sockets, so native/acceptd-notify sends each line.

import { spawn } from 'node:child_process'

export interface ServiceManager {
  readonly ready: (status: string) => void
  readonly reloading: () => void
  readonly stopping: (status: string) => void
  /** Another process speaks for the service. */
  readonly end: () => void
}

const NOTHING = (): void => undefined
const NOBODY: ServiceManager = { ready: NOTHING, reloading: NOTHING, stopping: NOTHING, end: NOTHING }

/** Microseconds of CLOCK_MONOTONIC. */
const microseconds = (): bigint => process.hrtime.bigint() / 1000n

/** One line: what a status says comes from files and must not end it. */
const oneLine = (status: string): string => status.replaceAll(/[\t\r\n]+/g, ' ')

/** The texts that `say` sends, one message each; a tab is a new line in it. */
export const saying = (
  say: (message: string) => void,
  now: () => bigint = microseconds,
  end: () => void = NOTHING,
): ServiceManager => ({
  end,
  ready: (status) => say(`READY=1\tSTATUS=${oneLine(status)}`),
  // Type=notify-reload takes a READY=1 for the end of this reload only if it is younger than this.
  reloading: () => say(`RELOADING=1\tMONOTONIC_USEC=${now()}`),
  stopping: (status) => say(`STOPPING=1\tSTATUS=${oneLine(status)}`),
})

/** `program`: acceptd-notify. Without a NOTIFY_SOCKET nothing is started. `failed` gets why the service manager cannot be notified. */
export function openServiceManager(program: string, failed: (message: string) => void): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog } = process.env
  if (socket === undefined || socket === '') return NOBODY
  const notifier = spawn(program, [], { stdio: ['pipe', 'inherit', 'inherit'], env: { NOTIFY_SOCKET: socket } })
  notifier.on('error', (error) => failed(error.message))
  notifier.stdin.on('error', () => undefined)
  notifier.unref()
  const say = (message: string): void => {
    if (notifier.stdin.writable) notifier.stdin.write(`${message}\n`)
  }
  // Said by the event loop that publishes, supervises lanes and answers the operator; lanes that are stuck are its business.
  const period = Number(watchdog) / 1000 / 2
  const watched = period > 0 ? setInterval(() => say('WATCHDOG=1'), period).unref() : undefined
  return saying(say, microseconds, () => {
    clearInterval(watched)
    notifier.stdin.end()
  })
}
