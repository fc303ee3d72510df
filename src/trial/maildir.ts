// A Maildir: a message is written in tmp, forced to disk, and only then moved to new, so that nobody ever sees half of one.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { LF } from '../protocol/bytes.ts'
import { wireSize } from './dots.ts'

const FOLDERS = ['tmp', 'new', 'cur'] as const
/** Seconds after which a file in tmp belongs to nobody any more, as maildir(5) has it. */
const STALE = 129_600

export interface Message {
  readonly path: string
  /** The name without its flags: stays the same for as long as the message exists. */
  readonly unique: string
  /** Octets on the wire. */
  readonly size: number
}

/** Makes what is missing of it. */
export function openMaildir(maildir: string): void {
  for (const folder of FOLDERS) mkdirSync(`${maildir}/${folder}`, { recursive: true, mode: 0o700 })
}

/** A message on its way into a Maildir. Every step throws what the kernel said. */
export class Delivery {
  readonly #maildir: string
  readonly #name: string
  readonly #fd: number
  #size = 0
  #lines = 0
  static #count = 0

  constructor(maildir: string) {
    const now = Date.now()
    Delivery.#count += 1
    const host = hostname().replaceAll('/', '\\057').replaceAll(':', '\\072')
    this.#maildir = maildir
    this.#name = `${Math.floor(now / 1000)}.M${String((now % 1000) * 1000).padStart(6, '0')}P${process.pid}Q${Delivery.#count}.${host}`
    this.#fd = openSync(`${maildir}/tmp/${this.#name}`, 'wx', 0o600)
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
    this.#size += bytes.length
    for (const byte of bytes) if (byte === LF) this.#lines += 1
  }

  /** When this returns the message is on disk; gives its name. S and W: the sizes that a POP3 server would have to count. */
  commit(): string {
    fsyncSync(this.#fd)
    closeSync(this.#fd)
    const name = `${this.#name},S=${this.#size},W=${this.#size + this.#lines}`
    renameSync(`${this.#maildir}/tmp/${this.#name}`, `${this.#maildir}/new/${name}`)
    const folder = openSync(`${this.#maildir}/new`, 'r')
    fsyncSync(folder)
    closeSync(folder)
    return this.#name
  }

  abandon(): void {
    for (const undo of [() => closeSync(this.#fd), () => unlinkSync(`${this.#maildir}/tmp/${this.#name}`)]) {
      try {
        undo()
      } catch {
        // Closed by a commit that failed later, or gone already.
      }
    }
  }
}

/** What is in new and cur, oldest first. */
export function listMessages(maildir: string): readonly Message[] {
  return ['new', 'cur']
    .flatMap((folder) =>
      readdirSync(`${maildir}/${folder}`)
        .filter((name) => !name.startsWith('.'))
        .flatMap((name) => look(`${maildir}/${folder}/${name}`, name) ?? []),
    )
    .toSorted((a, b) => Number.parseInt(a.unique, 10) - Number.parseInt(b.unique, 10) || (a.unique < b.unique ? -1 : 1))
}

function look(path: string, name: string): Message | undefined {
  try {
    const told = /,W=(\d+)/.exec(name)?.[1]
    return { path, unique: name.split(/[:,]/, 1)[0] ?? name, size: told ? Number(told) : wireSize(readFileSync(path)) }
  } catch {
    return undefined // another program has removed it meanwhile
  }
}

/** undefined if another program has removed it. */
export function readMessage(message: Message): Uint8Array | undefined {
  try {
    return readFileSync(message.path)
  } catch {
    return undefined
  }
}

/** Whether it is gone. */
export function removeMessage(message: Message): boolean {
  try {
    unlinkSync(message.path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

/** Removes what deliveries that were killed have left in tmp. */
export function sweepMaildir(maildir: string): void {
  const oldest = Date.now() - STALE * 1000
  for (const name of readdirSync(`${maildir}/tmp`)) {
    try {
      if (statSync(`${maildir}/tmp/${name}`).mtimeMs < oldest) unlinkSync(`${maildir}/tmp/${name}`)
    } catch {
      // Another process of the same user swept it first.
    }
  }
}
