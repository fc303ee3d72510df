// Real accounts of the machine with real passwords, for the duration of a test file.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endAll, ofUser } from './processes.ts'
import { must, run } from './run.ts'

export interface TestUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly password: string
}

const HOMES = '/var/lib/acceptd-test-homes'
const NAMES = ['acctest1', 'acctest2', 'acctest3'] as const
/** The account that the daemon runs as. */
export const ACCOUNT = 'acceptd-test'

async function identity(name: string): Promise<Omit<TestUser, 'password'>> {
  const [, , uid, gid, , home] = (await must(['getent', 'passwd', name])).trim().split(':')
  return { name, uid: Number(uid), gid: Number(gid), home: home ?? '/' }
}

/** Three people and the daemon's account; what an interrupted run left behind is taken over. Call it with the machine claimed. */
export async function makeUsers(): Promise<{
  readonly people: readonly [TestUser, TestUser, TestUser]
  readonly account: Omit<TestUser, 'password'>
}> {
  await removeUsers()
  mkdirSync(HOMES, { recursive: true, mode: 0o755 })
  const make = async (name: string, order: number): Promise<TestUser> => {
    // A password with characters that clients tend to get wrong.
    const password = `right %${order}+="x`
    await must(['useradd', '--create-home', '--home-dir', join(HOMES, name), '--shell', '/bin/sh', name])
    await must(['chpasswd'], { input: `${name}:${password}\n` })
    return { ...(await identity(name)), password }
  }
  const people = [await make(NAMES[0], 1), await make(NAMES[1], 2), await make(NAMES[2], 3)] as const
  await must(['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', ACCOUNT])
  return { people, account: await identity(ACCOUNT) }
}

/** Ends what runs as them, then removes the accounts and their homes. */
export async function removeUsers(): Promise<void> {
  for (const name of [...NAMES, ACCOUNT]) {
    const known = await run(['id', '-u', name])
    if (known.code !== 0) continue
    await endAll(ofUser(Number(known.stdout)))
    await must(['userdel', '--force', name])
  }
  rmSync(HOMES, { recursive: true, force: true })
}

/** Lines `user:hash:uid:gid:gecos:home:shell` for native/checkpassword; also for people who have no account, and for root. */
export async function writePasswordFile(file: string, people: readonly TestUser[], shell = '/bin/sh'): Promise<void> {
  const lines: string[] = []
  for (const { name, uid, gid, home, password } of people) {
    const hash = (await must(['openssl', 'passwd', '-6', '-stdin'], { input: `${password}\n` })).trim()
    lines.push(`${name}:${hash}:${uid}:${gid}::${home}:${shell}\n`)
  }
  writeFileSync(file, lines.join(''), { mode: 0o600 })
}
