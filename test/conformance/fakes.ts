// The two programs that a case's program runs: a mail program, and a checkpassword with whatever follows it.
// Started as `node fakes.js backend|child DIRECTORY [ARGUMENT ...]`; they read their part from, and report into, the directory.

import { spawnSync } from 'node:child_process'
import { appendFileSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { BackendSpec, ChildSpec, FakeRun, Said } from './case.ts'

const KEPT = new Set(['AUTHUP_USER', 'REUP', 'FIXSMTPIOTLS', 'UCSPITLS', 'DISABLETLS', 'USER'])
const KEPT_BY_BACKEND = new Set([...KEPT, 'NOFIXSMTPIO', 'FIXSMTPIODEBUG'])

const [, , role = '', directory = '', ...words] = process.argv

const environment = (kept: ReadonlySet<string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env)
      .filter(([name]) => kept.has(name) || name.startsWith('SSL_') || name.startsWith('X_'))
      .map(([name, value]) => [name, Buffer.from(value ?? '', 'utf8').toString('latin1')]),
  )

function runsBefore(): number {
  try {
    return readFileSync(join(directory, `${role}.runs`), 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}

const report = (run: FakeRun): void => appendFileSync(join(directory, `${role}.runs`), `${JSON.stringify(run)}\n`)
/** Forever, or for the time that a recorded mail program takes between two outputs. */
const wait = (ms?: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** Undefined at the end of file or on a descriptor that is not open. */
function readSome(fd: number): string | undefined {
  const buffer = Buffer.alloc(65_536)
  try {
    const length = readSync(fd, buffer, 0, buffer.length, null)
    return length === 0 ? undefined : buffer.toString('latin1', 0, length)
  } catch {
    return undefined
  }
}

function write(fd: number, text: string, orExit: number): void {
  const bytes = Buffer.from(text, 'latin1')
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
  } catch {
    process.exit(orExit)
  }
}

function leave(how: number | string | undefined): void {
  if (how === undefined || how === null) return
  if (typeof how === 'string') {
    process.kill(process.pid, Number(how.replace('signal:', '')))
    wait()
  }
  process.exit(Number(how))
}

function backend(): void {
  const base = JSON.parse(readFileSync(join(directory, 'backend.json'), 'utf8')) as BackendSpec
  const each = base.per_run ?? []
  const spec: BackendSpec = { ...base, ...each[Math.min(runsBefore(), each.length - 1)] }
  const atEnd = spec.eof_exit ?? 1
  report({ argv: words, env: environment(KEPT_BY_BACKEND) })
  const log = openSync(join(directory, 'backend.log'), 'a', 0o666)
  const say = (said: Said | undefined): void => {
    for (const part of said === undefined || said === null ? [] : typeof said === 'string' ? [said] : said) {
      if (typeof part === 'number') wait(part)
      else write(1, part, atEnd)
    }
  }
  if (spec.stderr !== undefined) write(2, spec.stderr, atEnd)
  say(spec.greeting)
  leave(spec.after_greeting)
  let inData = false
  let rest = ''
  for (;;) {
    const end = rest.indexOf('\n')
    if (end < 0) {
      const some = readSome(0)
      if (some === undefined) break
      write(log, some, atEnd)
      rest += some
      continue
    }
    const line = rest.slice(0, end).replace(/\r$/, '')
    rest = rest.slice(end + 1)
    if (inData) {
      if (line !== '.') continue
      inData = false
      say(spec.data_reply ?? '250 ok queued\r\n')
      leave(spec.exits?.['in_data'])
      continue
    }
    const verb = line.split(' ')[0]?.replace(/[a-z]/g, (letter) => letter.toUpperCase()) ?? ''
    const replies = spec.replies ?? {}
    const reply = Object.hasOwn(replies, verb) ? replies[verb] : (replies['*'] ?? '502 unimplemented\r\n')
    const first = Array.isArray(reply) ? reply[0] : reply
    if (verb === 'DATA' && typeof first === 'string' && first.startsWith('354')) inData = true
    say(reply)
    leave(spec.exits?.[verb])
  }
  leave(atEnd)
}

function child(): void {
  const specs = JSON.parse(readFileSync(join(directory, 'child.json'), 'utf8')) as ChildSpec[]
  const spec = specs[Math.min(runsBefore(), specs.length - 1)] ?? {}
  let fd3: string | null = ''
  try {
    const buffer = Buffer.alloc(4096)
    for (let length = 1; length > 0; ) {
      length = readSync(3, buffer, 0, buffer.length, null)
      fd3 += buffer.toString('latin1', 0, length)
    }
  } catch {
    fd3 = null
  }
  if (spec.out !== undefined) write(1, spec.out, 1)
  if (spec.err !== undefined) write(2, spec.err, 1)
  let stdin: string | undefined
  if (spec.read_lines !== undefined) {
    stdin = ''
    while (stdin.split('\n').length - 1 < spec.read_lines) {
      const some = readSome(0)
      if (some === undefined) break
      stdin += some
    }
  }
  if (spec.out2 !== undefined) write(1, spec.out2, 1)
  report({
    argv: words,
    env: environment(KEPT),
    fd3,
    ...(spec.uid === true ? { uid: [process.getuid?.() ?? -1, process.getgid?.() ?? -1] } : {}),
    ...(stdin === undefined ? {} : { stdin }),
  })
  if (spec.signal !== undefined) {
    process.kill(process.pid, spec.signal)
    wait()
  }
  if (spec.exec === true) process.exit(spawnSync(words[0] ?? '', words.slice(1), { stdio: 'inherit' }).status ?? 1)
  process.exit(spec.exit ?? 0)
}

if (role === 'backend') backend()
else child()
