import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

const programs = join(fileURLToPath(new URL('../../..', import.meta.url)), 'dist/programs')
export const root = process.getuid?.() === 0
export const account = root ? 54321 : (process.getuid?.() ?? 0)
export const group = root ? 54321 : (process.getgid?.() ?? 0)
export const place = mkdtempSync(join(tmpdir(), 'launchers.'))
chmodSync(place, 0o755)
after(() => rmSync(place, { recursive: true }))
for (const name of ['acceptd', 'authup']) copyFileSync(join(programs, name), join(place, name))

export function write(name: string, text: string, mode = 0o644): void {
  writeFileSync(join(place, name), text)
  chmodSync(join(place, name), mode)
}

export const script = (name: string, text: string): void => write(name, `#!/bin/sh\n${text}\n`, 0o755)

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Ran {
  const { status, stdout, stderr } = spawnSync(join(place, program), args, {
    encoding: 'latin1',
    timeout: 10_000,
    env: { PATH: '/usr/bin:/bin', ...env },
  })
  return { code: status, out: stdout, err: stderr }
}
