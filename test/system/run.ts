// Runs one program to its end and keeps its output.
import { spawn } from 'node:child_process'

export interface Ran {
  /** undefined when a signal ended it. */
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly stdout: string
  readonly stderr: string
  /** Both, in the order in which they came. */
  readonly transcript: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
  /** Milliseconds; then the program is killed. */
  readonly timeout?: number
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Text is latin1 both ways. Rejects only if the program cannot be started. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { input = '', env = {}, cwd = '/', uid, gid, timeout = 30_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      cwd,
      env: { PATH, LC_ALL: 'C', ...env },
      stdio: 'pipe',
      timeout,
      killSignal: 'SIGKILL',
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    let [stdout, stderr, transcript] = ['', '', '']
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      stdout += text
      transcript += text
    })
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      stderr += text
      transcript += text
    })
    child.stdin.on('error', () => undefined) // it may end before it has read everything
    child.stdin.end(typeof input === 'string' ? Buffer.from(input, 'latin1') : input)
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code: code ?? undefined, signal: signal ?? undefined, stdout, stderr, transcript }),
    )
  })
}

/** The same for steps that have to succeed: returns stdout, throws with all output of the program. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await run(argv, options)
  if (ran.code !== 0) throw new Error(`${argv.join(' ')}: exit ${ran.code ?? ran.signal}\n${ran.transcript}`)
  return ran.stdout
}

/** A word of sh. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=%@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
