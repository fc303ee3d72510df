// A program on its own terminal, made by script(1): keys go in, its output comes out, and the size can be changed.

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { until } from './lane.ts'

export interface Terminal {
  readonly type: (keys: string) => void
  /** All that it has written. */
  readonly written: () => string
  /** The lines of its last complete screen, without colours. */
  readonly picture: () => readonly string[]
  readonly resize: (rows: number, columns: number) => void
  readonly kill: (signal: NodeJS.Signals) => void
  /** Whether the program is stopped, as by ^Z. */
  readonly isStopped: () => boolean
  /** As fg in a shell does: script(1) stops and continues with it. */
  readonly resume: () => void
  /** The program's exit code; above 128 if a signal ended it. */
  readonly ended: Promise<number | null>
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

const ESCAPE = '\u001b'
const SEQUENCES = new RegExp(`${ESCAPE}\\[[?\\d;]*[A-Za-z]`, 'g')

/** Without its escape sequences. */
export const bare = (text: string): string => text.replace(SEQUENCES, '')

export async function terminal(
  t: TestContext,
  command: readonly string[],
  { rows = 24, columns = 80, env = {} }: { rows?: number; columns?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Terminal> {
  // The shell prints its terminal and its process id, then becomes the program.
  const line = `stty rows ${rows} cols ${columns}; echo "at $(tty) $$"; exec ${command.map(quoted).join(' ')}`
  const child = spawn('script', ['-qefc', line, '/dev/null'], { env: { ...process.env, TERM: 'xterm', ...env } })
  t.after(() => child.kill())
  let text = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    text += chunk
  })
  child.stdin.on('error', () => undefined)
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  await until('the terminal', () => /at (\S+) (\d+)\r?\n/.test(text))
  const [, path = '', pid = ''] = /at (\S+) (\d+)\r?\n/.exec(text) ?? []
  return {
    type: (keys) => child.stdin.write(keys),
    written: () => text,
    picture: () => bare(text.split('\u001b[H').at(-1) ?? '').split(/\r*\n/),
    resize: (height, width) => void execFileSync('stty', ['-F', path, 'rows', String(height), 'cols', String(width)]),
    kill: (signal) => void process.kill(Number(pid), signal),
    isStopped: () => / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')),
    resume: () => {
      child.kill('SIGCONT')
      process.kill(Number(pid), 'SIGCONT')
    },
    ended,
  }
}
