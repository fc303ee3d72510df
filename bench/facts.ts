// The machine that the figures belong to.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { descriptorLimit } from './proc.ts'

export interface Facts {
  readonly cores: number
  readonly cpu: string
  readonly memoryGB: number
  readonly kernel: string
  readonly node: string
  readonly descriptorLimit: number
  readonly system: string
  readonly commit: string
  readonly date: string
}

function firstLine(command: string, args: readonly string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

export const machineFacts = (): Facts => ({
  cores: cpus().length,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  memoryGB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.versions.node,
  descriptorLimit: descriptorLimit(),
  system: systemName(),
  commit: firstLine('git', ['rev-parse', '--short', 'HEAD']),
  date: new Date().toISOString().slice(0, 10),
})
