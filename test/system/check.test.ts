// `acceptd --check` by root, on hosts where acceptd would start and no login would work: each is reported, with exit 78.
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { script } from './fixture.ts'
import { type Chain, type Installation, install } from './installation.ts'
import { type Claim, claimMachine } from './machine.ts'
import { type Ran, run } from './run.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

let claim: Claim
let place: Installation
let account: Omit<TestUser, 'password'>
let good: Chain
before(async () => {
  claim = await claimMachine()
  ;({ account } = await makeUsers())
  place = await install(claim.dir, account)
  good = { name: 'mail', checkpassword: ['builtin'], backend: [script(claim.dir, 'backend', 'exit 0')] }
})
after(async () => {
  await removeUsers()
  claim.release()
})

const check = (...more: readonly string[]): Promise<Ran> =>
  run([join(place.programs, 'acceptd'), '--check', '--control', place.control, '--run', place.run, ...more], {
    env: { ACCEPTD_HELPER: join(place.programs, 'accept-helper') },
  })

const set = (chain: Partial<Chain> = {}, globals: Readonly<Record<string, string>> = {}): void =>
  place.writeChains([{ ...good, ...chain }], globals)

const helper = (): string => join(place.programs, 'accept-helper')

interface Row {
  readonly what: string
  readonly given: () => void
  readonly said: RegExp
  readonly more?: readonly string[]
  readonly undo?: () => void
}

/** Each begins with a host where all is well. */
const ROWS: readonly Row[] = [
  {
    what: 'a backend that is missing',
    given: () => set({ backend: ['/nowhere/ofmipd'] }),
    said: /control\/chains:3: the chain mail: \/nowhere\/ofmipd: there is no such file/,
  },
  {
    what: 'a backend that nobody may execute',
    given: () => set({ backend: ['/etc/passwd'] }),
    said: /the chain mail: \/etc\/passwd: nobody may execute it/,
  },
  {
    what: 'a checkpassword that is missing',
    given: () => set({ checkpassword: ['/nowhere/checkpassword'] }),
    said: /the chain mail: \/nowhere\/checkpassword: there is no such file/,
  },
  {
    what: 'a file of passwords that is missing',
    given: () => set({ checkpassword: ['builtin', '/nowhere/passwords'] }),
    said: /the chain mail: \/nowhere\/passwords: there is no such file to check passwords with/,
  },
  {
    what: 'a helper that is not setuid',
    given: () => chmodSync(helper(), 0o750),
    said: /accept-helper: it is not setuid root; it has to be root:GROUP 4750/,
    undo: () => chmodSync(helper(), 0o4750),
  },
  {
    what: 'a helper that the account may not start',
    given: () => chownSync(helper(), 0, 0),
    said: /EACCES/,
    undo: () => {
      chownSync(helper(), 0, account.gid)
      chmodSync(helper(), 0o4750)
    },
  },
  {
    what: 'two listeners on one address',
    given: () => place.write('listeners', '0.0.0.0:5587 smtp mail tls=off\n127.0.0.1:5587 smtp mail name=b\n'),
    said: /control\/listeners:2:1: another listener has 0\.0\.0\.0:5587/,
  },
  {
    what: 'metrics on the port of a listener',
    given: () => {
      place.write('listeners', '127.0.0.1:5587 smtp mail\n')
      place.write('metrics', '127.0.0.1:5587\n')
    },
    said: /control\/metrics:1:1: the listener smtp:5587 has this port/,
  },
  {
    what: 'an address of another host',
    given: () => place.write('listeners', '127.0.0.1:0 smtp mail\n192.0.2.77:0 smtp mail tls=off name=b\n'),
    said: /control\/listeners:2: this host has not the address 192\.0\.2\.77/,
  },
  {
    what: 'a control file that the account cannot read',
    given: () => chmodSync(join(place.control, 'me'), 0o600),
    said: /control\/me:1:1: .*EACCES/,
    undo: () => chmodSync(join(place.control, 'me'), 0o644),
  },
  {
    what: 'STARTTLS in control/smtpcapabilities',
    given: () => place.write('smtpcapabilities', 'PIPELINING\nSTARTTLS\n'),
    said: /control\/smtpcapabilities:2:1: acceptd itself says STARTTLS/,
  },
  {
    what: 'a name with a blank',
    given: () => place.write('me', 'mail example.org\n'),
    said: /control\/me:1:5: the name of a host has no blanks/,
  },
  {
    what: "the helper's socket below a directory that others can write",
    given: () => {
      mkdirSync(join(claim.dir, 'open'))
      chmodSync(join(claim.dir, 'open'), 0o777)
      set({}, { socket: join(claim.dir, 'open/helper/helper.sock') })
    },
    said: /open\/helper: it or a folder above it can be written by others than root/,
  },
  {
    what: 'the control sockets below a directory that others can write',
    given: () => undefined,
    more: ['--run', '/var/lib/acceptd-test-open/run'],
    said: /others could take the place of the control sockets: \/var\/lib\/acceptd-test-open can be written by others/,
  },
]

void describe('acceptd --check', () => {
  const reset = (): void => {
    set()
    place.write('me', 'mx.acceptd.test\n')
    place.write('smtpcapabilities', 'PIPELINING\n')
    place.write('listeners', '127.0.0.1:0 smtp mail\n')
    place.write('metrics', '')
    const open = '/var/lib/acceptd-test-open'
    rmSync(open, { recursive: true, force: true })
    mkdirSync(open)
    chmodSync(open, 0o777)
  }
  after(() => rmSync('/var/lib/acceptd-test-open', { recursive: true, force: true }))

  void it('finds nothing where all is well', async () => {
    reset()
    const { code, transcript } = await check()
    assert.equal(code, 0, transcript)
    assert.match(transcript, /^ok privileged\nacceptd: \S+control: ok: 1 listeners, 1 chains, \d+ rules$/m)
  })

  for (const { what, given, said, more = [], undo } of ROWS)
    void it(`finds ${what}`, async () => {
      reset()
      given()
      const { code, transcript } = await check(...more)
      undo?.()
      assert.match(transcript, said)
      assert.equal(code, 78, transcript)
    })
})
