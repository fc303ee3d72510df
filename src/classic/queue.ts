// qmail-queue with filters in front. The message is on descriptor 0, the envelope on 1 (qmail-queue(8)); both are copied whole
// into unlinked files before any filter runs, and qmail-queue is started only when all of them have succeeded.

import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmdirSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { textOf } from '../protocol/bytes.ts'

/** Exit codes of qmail-queue(8): from 51 on all are temporary. */
export const QUEUE = {
  done: 0,
  memory: 51,
  write: 53,
  read: 54,
  config: 55,
  execute: 71,
  internal: 81,
  envelope: 91,
} as const

/** A filter says with it that the message is to be dropped without a word: qmail-qfilter(1). */
const DROP = 99

export class QueueFailure extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

function attempt<T>(code: number, what: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new QueueFailure(code, `${what}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A file that no other process can open and that ends with this one. */
function scratch(): number {
  return attempt(QUEUE.write, 'no temporary file', () => {
    const directory = mkdtempSync(join(tmpdir(), 'qfilter.'))
    const path = join(directory, 'm')
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    rmdirSync(directory)
    return fd
  })
}

/** The same file from its beginning, with an offset of its own. */
const rewound = (fd: number): number =>
  attempt(QUEUE.read, 'no way back to the beginning', () => openSync(`/proc/self/fd/${fd}`, 'r'))

function copyWhole(from: number, what: string): number {
  const to = scratch()
  const buffer = Buffer.allocUnsafe(65_536)
  for (;;) {
    const length = attempt(QUEUE.read, `cannot read the ${what}`, () => readSync(from, buffer, 0, buffer.length, null))
    if (length === 0) return to
    for (let at = 0; at < length; )
      at += attempt(QUEUE.write, `cannot keep the ${what}`, () => writeSync(to, buffer, at, length - at))
  }
}

function readWhole(fd: number): Uint8Array {
  const copy = rewound(fd)
  const bytes = Buffer.alloc(fstatSync(copy).size)
  for (let at = 0; at < bytes.length; ) {
    const length = attempt(QUEUE.read, 'cannot read', () => readSync(copy, bytes, at, bytes.length - at, at))
    if (length === 0) break
    at += length
  }
  closeSync(copy)
  return bytes
}

export interface Envelope {
  readonly sender: string
  readonly recipients: readonly string[]
}

/** `F` sender NUL, `T` recipient NUL ..., NUL. */
export function parseEnvelope(bytes: Uint8Array): Envelope | undefined {
  const text = textOf(bytes)
  const parts = text.split('\0')
  const [from = '', ...rest] = parts
  if (!text.endsWith('\0\0') || !from.startsWith('F')) return undefined
  const recipients = rest.slice(0, -2)
  if (recipients.some((each) => !each.startsWith('T'))) return undefined
  return { sender: from.slice(1), recipients: recipients.map((each) => each.slice(1)) }
}

const sizeOf = (fd: number): number => fstatSync(fd).size

export interface Filtering {
  /** Command lines. */
  readonly filters: readonly (readonly string[])[]
  readonly queue: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Runs the filters one after the other as qmail-qfilter(1) does, then qmail-queue; the exit code. qmail-qfilter itself would take us for
 * the program that queues the message, since Node cannot make way for it: QMAILPPID is that program's process id.
 */
export function filterAndQueue({ filters, queue, env }: Filtering): number {
  const { QMAILNAME: _name, ...inherited } = env
  let message = copyWhole(0, 'message')
  let envelope = copyWhole(1, 'envelope')
  const choice = scratch()
  for (const [program = '', ...words] of filters) {
    const known = parseEnvelope(readWhole(envelope))
    if (known === undefined) throw new QueueFailure(QUEUE.envelope, 'malformed envelope')
    const at = known.sender.lastIndexOf('@')
    const nextMessage = scratch()
    const nextEnvelope = scratch()
    // Descriptors: message in and out on 0 and 1, envelope in and out on 3 and 4, on 5 the name of another qmail-queue.
    const ran = spawnSync(program, words, {
      stdio: [rewound(message), nextMessage, 2, rewound(envelope), nextEnvelope, choice],
      env: {
        ...inherited,
        QMAILPPID: String(process.ppid),
        QMAILUSER: at < 0 ? known.sender : known.sender.slice(0, at),
        QMAILHOST: at < 0 ? '' : known.sender.slice(at + 1),
        QMAILRCPTS: known.recipients.map((each) => `${each}\n`).join(''),
        NUMRCPTS: String(known.recipients.length),
        ENVSIZE: String(sizeOf(envelope)),
        MSGSIZE: String(sizeOf(message)),
      },
    })
    if (ran.error !== undefined) throw new QueueFailure(QUEUE.execute, `cannot run ${program}: ${ran.error.message}`)
    if (ran.signal !== null) throw new QueueFailure(QUEUE.internal, `${program} was killed by ${ran.signal}`)
    if (ran.status === DROP) return QUEUE.done
    if (ran.status !== 0) return ran.status ?? QUEUE.internal
    // A filter that writes nothing leaves things as they are.
    if (sizeOf(nextMessage) > 0) message = nextMessage
    if (sizeOf(nextEnvelope) > 0) envelope = nextEnvelope
  }
  if (parseEnvelope(readWhole(envelope)) === undefined) throw new QueueFailure(QUEUE.envelope, 'malformed envelope')
  const chosen = textOf(readWhole(choice)).split(/[\0\n]/)[0] ?? ''
  return runQueue(chosen === '' ? queue : chosen, [rewound(message), rewound(envelope), 2], inherited)
}

/** Its exit code is ours. */
function runQueue(
  program: string,
  stdio: readonly number[],
  env: Readonly<Record<string, string | undefined>>,
): number {
  const ran = spawnSync(program, { stdio: [...stdio], env: { ...env } })
  if (ran.error !== undefined) throw new QueueFailure(QUEUE.execute, `cannot run ${program}: ${ran.error.message}`)
  if (ran.signal !== null) throw new QueueFailure(QUEUE.internal, `${program} was killed by ${ran.signal}`)
  return ran.status ?? QUEUE.internal
}
