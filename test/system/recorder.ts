// A chain for tests that count messages: passwords from a file, and a backend so small that thousands of it can run.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageFrom } from './clients.ts'
import type { Conversation } from './conversation.ts'
import type { Chain } from './installation.ts'
import { TOP } from './machine.ts'
import { must } from './run.ts'
import { type TestUser, writePasswordFile } from './users.ts'

export interface Recorder {
  readonly chain: Chain
  /** The subject of each message that was taken, in order. */
  readonly taken: () => readonly string[]
}

/** Compiles recorder.c; the chain is called `mail`. */
export async function makeRecorder(dir: string, people: readonly TestUser[]): Promise<Recorder> {
  const [program, file, passwords] = [join(dir, 'recorder'), join(dir, 'taken'), join(dir, 'passwords')]
  const source = join(TOP, 'test/system/recorder.c')
  await must(['cc', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', program, source])
  writeFileSync(file, '')
  chmodSync(file, 0o666)
  await writePasswordFile(passwords, people)
  return {
    chain: { name: 'mail', checkpassword: ['builtin', passwords], backend: [program, file] },
    taken: () => readFileSync(file, 'latin1').split('\n').slice(0, -1),
  }
}

/** One message; gives the replies to MAIL, RCPT, DATA and the message. */
export async function transact(talk: Conversation, subject: string): Promise<readonly string[]> {
  const message = messageFrom('me@example.org', subject).replaceAll('\n', '\r\n')
  const replies: string[] = []
  for (const line of ['MAIL FROM:<me@example.org>', 'RCPT TO:<you@example.org>', 'DATA', `${message}.`]) {
    const reply = await talk.say(line)
    replies.push(reply)
    if (!/^[23]/.test(reply)) throw new Error(`${subject}: ${reply} to ${line}`)
  }
  return replies
}
