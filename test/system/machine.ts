// What the system tests own on the machine: a lock, and the places where packages.sh and the tests put things.
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The clone: this file runs as dist/test/system/machine.js. */
export const TOP = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
export const PROGRAMS = join(TOP, 'dist/programs')
const CACHE = process.env.ACCEPTD_TEST_CACHE ?? '/var/cache/acceptd-test'
/** Packages that could not be installed, unpacked by packages.sh. */
export const UNPACKED = join(CACHE, 'root')

export interface Claim {
  /** Belongs to root all the way up, which the helper asks of everything it trusts; removed at the end. */
  readonly dir: string
  readonly release: () => void
}

/**
 * Accounts, postfix's queue and exim's configuration exist once on a machine, so one test file has them at a time. The lock is held
 * by a flock(1) that ends with us, however we end.
 */
export async function claimMachine(): Promise<Claim> {
  if (process.getuid?.() !== 0) throw new Error('the system tests make accounts and change users: run them as root')
  const lock = '/run/acceptd-system-test.lock'
  const holder = spawn('flock', ['-w', '900', lock, 'sh', '-c', 'echo mine; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject)
    holder.once('exit', (code) => reject(new Error(`${lock} was held by others for 15 minutes (flock: ${code})`)))
    holder.stdout.once('data', () => resolve())
  })
  holder.removeAllListeners('exit')
  // With the lock ours, what still exists was left by a run that was killed.
  for (const name of readdirSync('/var/lib').filter((entry) => /^acceptd-test-.{6}$/.test(entry)))
    rmSync(join('/var/lib', name), { recursive: true, force: true })
  const dir = mkdtempSync('/var/lib/acceptd-test-')
  chmodSync(dir, 0o755)
  return {
    dir,
    release: () => {
      rmSync(dir, { recursive: true, force: true })
      holder.stdin.end()
    },
  }
}
