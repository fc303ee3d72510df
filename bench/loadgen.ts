// Runs the load generator (bench/native/loadgen.c) and reads its answer.
import { type ChildProcess, spawn } from 'node:child_process'
import { benchProgram } from './fixture.ts'

export interface Times {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Milliseconds, seconds, octets. `sessions` and its like count what ended inside the measured time; `all` counts everything. */
export interface LoadReport {
  readonly clients: number
  readonly seconds: number
  readonly sessions: number
  readonly logins: number
  readonly refusedLogins: number
  readonly messages: number
  readonly octets: number
  readonly perSecond: {
    readonly sessions: number
    readonly logins: number
    readonly messages: number
    readonly octets: number
  }
  readonly all: {
    readonly started: number
    readonly sessions: number
    readonly logins: number
    readonly refusedLogins: number
    readonly messages: number
    readonly late: number
    readonly held: number
  }
  /** With TLS; those that were resumed are among them. */
  readonly handshakes: number
  readonly resumed: number
  readonly errors: Readonly<Record<'refused' | 'connect' | 'reply' | 'closed' | 'timeout' | 'total', number>>
  readonly samples: readonly {
    readonly kind: string
    readonly at: string
    readonly count: number
    readonly text: string
  }[]
  readonly ms: Readonly<Record<'banner' | 'login' | 'session' | 'message', Times>>
  /** Nobody heard anything for so long though somebody waited. */
  readonly longestSilence: number
  readonly cpu: { readonly user: number; readonly system: number }
}

/** Options of loadgen by their names there, e.g. `{ clients: 64, auth: 'plain', pipeline: true }`; `tls` is for loadgen-tls. */
export type Load = Readonly<Record<string, string | number | boolean | undefined>>

function argumentsOf(port: number, load: Load): string[] {
  const args = ['--target', `127.0.0.1:${port}`]
  for (const [name, value] of Object.entries(load)) {
    if (value === undefined || value === false) continue
    args.push(`--${name}`)
    if (value !== true) args.push(String(value))
  }
  return args
}

function start(
  port: number,
  load: Load,
): { child: ChildProcess; report: Promise<LoadReport>; holding: Promise<number> } {
  const child = spawn(benchProgram(load.tls === undefined ? 'loadgen' : 'loadgen-tls'), argumentsOf(port, load), {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout?.setEncoding('latin1').on('data', (text: string) => {
    out += text
  })
  const holding = new Promise<number>((resolve) => {
    child.stderr?.setEncoding('latin1').on('data', (text: string) => {
      err += text
      const held = /loadgen: holding (\d+)/.exec(err)
      if (held) resolve(Number(held[1]))
    })
  })
  const report = new Promise<LoadReport>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(out))
      else reject(new Error(`loadgen ended with ${code ?? signal}: ${err.trim()}`))
    })
  })
  return { child, report, holding }
}

export const runLoad = (port: number, load: Load): Promise<LoadReport> => start(port, load).report

export interface Held {
  /** How many clients got as far as was asked. */
  readonly held: number
  readonly release: () => Promise<LoadReport>
}

/** Opens idle sessions and keeps them until released. */
export async function holdLoad(port: number, load: Load & { hold: 'greeting' | 'login' }): Promise<Held> {
  const { child, report, holding } = start(port, { duration: 3600, ...load })
  const held = await Promise.race([holding, report.then(() => 0)])
  return {
    held,
    release: async () => {
      child.kill('SIGTERM')
      return await report
    },
  }
}
