// Everything that a test of the whole system needs: the machine claimed, people with accounts, backends ready, acceptd installed
// and running with a listener for each chain. A test file makes one in `before` and ends it in `after`.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Pop3BackendName,
  pop3Backend,
  SMTP_BACKENDS,
  type SmtpBackend,
  type SmtpBackendName,
  smtpBackend,
} from './backends.ts'
import { type Certificate, makeCertificate, tlsLine } from './certificate.ts'
import { type Daemon, type Start, startDaemon } from './daemon.ts'
import { type Chain, type Installation, install } from './installation.ts'
import { type Claim, claimMachine } from './machine.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

export interface Fixture {
  readonly claim: Claim
  readonly people: readonly [TestUser, TestUser, TestUser]
  readonly account: Omit<TestUser, 'password'>
  readonly place: Installation
  readonly daemon: Daemon
  readonly certificates: readonly Certificate[]
  readonly backend: (name: SmtpBackendName) => SmtpBackend
  readonly end: () => Promise<void>
}

export interface FixtureOptions {
  /** Each becomes a chain of its name that asks /etc/shadow. */
  readonly smtp?: readonly SmtpBackendName[]
  readonly pop3?: readonly Pop3BackendName[]
  /** Further chains, for SMTP; made when the people and the folder exist. */
  readonly chains?: (
    fixture: Pick<Fixture, 'claim' | 'people' | 'account'>,
  ) => readonly Chain[] | Promise<readonly Chain[]>
  /** First lines of control/chains. */
  readonly globals?: Readonly<Record<string, string | number>>
  /** Further files of the control directory. */
  readonly control?: Readonly<Record<string, string>>
  /** Certificates of control/tls, each made for its names: an EC key, or RSA after `rsa:`. */
  readonly certificates?: readonly string[]
  /** Lines of control/listeners, instead of one for each chain. */
  readonly listeners?: readonly string[] | ((fixture: Pick<Fixture, 'claim'>) => readonly string[])
  /** How acceptd is started. */
  readonly start?: (fixture: Pick<Fixture, 'claim'>) => Start
  /** Appended to each listener: `tries=2`. */
  readonly options?: string
}

/** An executable shell script in `dir`; returns its path. */
export function script(dir: string, name: string, text: string): string {
  const file = join(dir, name)
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
  return file
}

export async function makeFixture(options: FixtureOptions): Promise<Fixture> {
  const {
    smtp = [],
    pop3 = [],
    chains,
    globals = {},
    control = {},
    start,
    certificates = [],
    options: listener = '',
  } = options
  const claim = await claimMachine()
  let daemon: Daemon | undefined
  const end = async (): Promise<void> => {
    try {
      await daemon?.stop()
    } finally {
      for (const name of SMTP_BACKENDS) await smtpBackend(name, claim).clean()
      await removeUsers()
      claim.release()
    }
  }
  try {
    const { people, account } = await makeUsers()
    const place = await install(claim.dir, account)
    const [submission, mailbox] = [
      smtp.map((name) => smtpBackend(name, claim)),
      pop3.map((name) => pop3Backend(name, claim)),
    ]
    for (const backend of [...submission, ...mailbox]) await backend.prepare()
    const more = (await chains?.({ claim, people, account })) ?? []
    const real = [...submission, ...mailbox].map(({ name, argv }) => ({
      name,
      checkpassword: ['builtin'],
      backend: argv,
    }))
    place.writeChains([...real, ...more], globals)
    for (const [name, text] of Object.entries(control)) place.write(name, text)
    const lines = [...submission, ...more.filter(({ guest }) => guest === undefined)].map(({ name }) =>
      `127.0.0.1:0 smtp ${name} ${listener}`.trim(),
    )
    const pairs = []
    for (const name of certificates) pairs.push(await makeCertificate(claim.dir, name, account))
    if (pairs.length > 0) place.write('tls', pairs.map(tlsLine).join(''))
    const { listeners } = options
    const named = typeof listeners === 'function' ? listeners({ claim }) : listeners
    const all = named ?? [...lines, ...pop3.map((name) => `127.0.0.1:0 pop3 ${name}`)]
    daemon = await startDaemon(place, all, start?.({ claim }))
    return {
      claim,
      people,
      account,
      place,
      daemon,
      certificates: pairs,
      backend: (name) => smtpBackend(name, claim),
      end,
    }
  } catch (error) {
    await end()
    throw error
  }
}
