// Signals from the first moment on: one that comes before there is somebody to obey it waits. Import this before anything else.

const SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGUSR2'] as const
export type Signal = (typeof SIGNALS)[number]

const waiting: Signal[] = []
const obeyed = new Map<Signal, (signal: Signal) => void>()

function give(signal: Signal): void {
  const obey = obeyed.get(signal)
  if (obey === undefined) waiting.push(signal)
  else obey(signal)
}

for (const signal of SIGNALS) process.on(signal, () => give(signal))

export function obeySignals(signals: readonly Signal[], obey: (signal: Signal) => void): void {
  for (const signal of signals) obeyed.set(signal, obey)
  for (const signal of waiting.splice(0)) give(signal)
}

/**
 * The supervisor has its signals from native/acceptd.c, and the runtime from the supervisor, as lines on standard input: a signal kills a
 * Node that has not come to its first line of JavaScript, a line waits. Its end of file is the end of the process that started this one.
 */
export function hearStarter(died: () => void): void {
  let rest = ''
  process.stdin.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const signal = SIGNALS.find((one) => one === line)
      if (signal !== undefined) give(signal)
    }
  })
  process.stdin.on('end', () => {
    died()
    give('SIGINT')
  })
  process.stdin.on('error', () => undefined)
}
