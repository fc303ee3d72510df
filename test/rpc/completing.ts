// A shell that completes acceptctl's words: its script as printed, the program on PATH, and the daemon's socket.

import { execFile } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { COMPLETION_SCRIPTS } from '../../src/rpc/completion-scripts.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

export interface Completing {
  /** An empty directory. */
  readonly directory: string
  readonly socket: string
}

/** What each shell is run with: `$1` is the script, the words follow, and it prints one candidate a line. */
const DRIVERS = {
  bash: `source <(printf %s "$1"); shift
COMP_WORDS=(acceptctl "$@")
COMP_CWORD=$#
_acceptctl
printf '%s\\n' "\${COMPREPLY[@]}"`,
  // Outside a completion its variables are ours to set, and the command that adds candidates is ours to write.
  zsh: `compdef() { : }
compadd() { print -rl -- "\${(@P)@[-1]}" }
_files() { print -r -- files }
compset() { : }
source <(printf %s "$1"); shift
typeset -a words; words=(acceptctl "$@"); CURRENT=\${#words}
_acceptctl`,
  fish: `echo $argv[1] | source
complete -C (string join -- ' ' acceptctl $argv[2..])`,
} as const

const ARGUMENTS = {
  bash: ['-c', DRIVERS.bash, 'bash'],
  zsh: ['-fc', DRIVERS.zsh, 'zsh'],
  fish: ['-N', '-c', DRIVERS.fish],
} as const

/** Completes the last of these words; hints are left out. */
export function completer(shell: keyof typeof DRIVERS, { directory, socket }: Completing) {
  symlinkSync(program, join(directory, 'acceptctl'))
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}`, ACCEPTD_SOCKET: socket, HOME: directory }
  return (...words: readonly string[]): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      const args = [...ARGUMENTS[shell], COMPLETION_SCRIPTS[shell], ...words]
      execFile(shell, args, { env, cwd: directory }, (error, stdout, stderr) => {
        if (error || stderr !== '') reject(error ?? new Error(stderr))
        else
          resolve(
            stdout
              .split('\n')
              .filter((line) => line !== '')
              .map((line) => line.split('\t')[0] ?? ''),
          )
      })
    })
}
