// The exit codes of acceptctl(1): every row of its table, by commands that end with that code, over the real daemon.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FAILURES } from '../../src/contract/failure.ts'
import { helpText } from '../../src/rpc/help.ts'
import { type Fixture, fixture } from './fixture.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

/** exit code, output on standard error, and a line for bash; `$ctl` is the program with the control socket, `$status` the other socket. */
const CASES: readonly [code: number, err: RegExp, line: string][] = [
  [0, /^$/, '$ctl server ping'],
  [0, /^$/, '$ctl --version'],
  [0, /^$/, '$ctl --help'],
  [0, /^$/, '$ctl session list'],
  [0, /^$/, '$ctl rpc discover | head -c 1'],
  [0, /^$/, '$ctl --help | true'],
  [0, /^$/, '$ctl completion bash | head -n 1'],
  [0, /^$/, '$ctl complete -- session get ""'],
  [0, /^$/, '$ctl log errors --socket $status'],
  [1, /control socket only/, '$ctl server drain --socket $status'],
  [2, /no command given/, '$ctl'],
  [2, /did you mean session\?/, '$ctl sesion list'],
  [2, /did you mean list\?/, '$ctl session lst'],
  [2, /did you mean --user\?/, '$ctl session list --usr x'],
  [2, /--timeout is a number/, '$ctl server ping --timeout 0'],
  [2, /neither an address/, '$ctl session list --ip 1.2.3'],
  [2, /empty filter/, '$ctl session kill'],
  [2, /There is no method/, '$ctl call no.such'],
  [2, /ENOENT/, '$ctl config check fixsmtpio=/no/such/file'],
  [2, /EBADF/, '$ctl auth test alice --password-fd 99'],
  [2, /which shell/, '$ctl completion'],
  [2, /no script for tcsh/, '$ctl completion tcsh'],
  [3, /nothing matches/, '$ctl session list --user nobody'],
  [3, /nothing matches/, '$ctl session kill --user nobody'],
  [3, /nothing matches/, '$ctl log errors --since 2999-01-01'],
  [3, /no session nope/, '$ctl session get nope'],
  [3, /did you mean limits/, '$ctl config explain limts:1'],
  [3, /has 1 lines/, '$ctl config explain limits:9'],
  [3, /no generation/, '$ctl config rollback'],
  [4, /generation 1/, '$ctl config reload --if-sha256 $zeros'],
  [69, /not reachable|no acceptd|ENOENT/, '$ctl server ping --socket /no/such.sock'],
  [69, /ECONNREFUSED|ENOENT|not reachable/, '$ctl top --socket /no/such.sock'],
  [74, /cannot be written: .*ENOSPC/, '$ctl server ping >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl session list -o json >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl rpc discover >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl top >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl --help >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl --version >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl help config >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl completion zsh >/dev/full'],
  [74, /cannot be written: .*ENOSPC/, '$ctl sesion list -o json >/dev/full'],
  [75, /in time/, '$ctl server ping --socket $deaf --timeout 0.2'],
  [78, /^$/, '$ctl config check fixsmtpio=$bad'],
  [78, /fixsmtpio:1:7: the rule ends after 1 of 6 fields/, '$ctl config reload'],
]

const page = readFileSync('man/acceptctl.1', 'latin1')
const status = page.slice(page.indexOf('.Sh EXIT STATUS'), page.indexOf('.Sh EXAMPLES'))
/** 130 needs a terminal: acceptctl-secret.test.ts. */
const written = [...status.matchAll(/^\.It (\d+) Ta /gm)].map(([, code]) => Number(code)).filter((code) => code !== 130)

void describe('exit codes', () => {
  void it('of the manual page are those tested here, those of the errors, and those of the help', () => {
    assert.deepEqual([...new Set(CASES.map(([code]) => code))], written)
    for (const [name, { exit }] of Object.entries(FAILURES)) assert.ok(written.includes(exit), name)
    for (const code of written) assert.match(helpText(), new RegExp(`[ \n]${code} [a-z]`))
  })

  let given: Fixture
  let ended: () => Promise<void>
  const deaf = createServer()
  before(async () => {
    const ends: (() => unknown)[] = []
    const context = { after: (end: () => unknown) => ends.push(end) } as unknown as TestContext
    given = await fixture(context)
    ended = async () => {
      for (const end of ends) await end()
    }
    writeFileSync(join(given.directory, 'bad'), 'so bad\n')
    await new Promise<void>((resolve) => deaf.listen(join(given.directory, 'deaf'), resolve))
  })
  after(async () => {
    deaf.close()
    await ended()
  })

  for (const [code, err, line] of CASES)
    void it(`${code}: ${line}`, async () => {
      const { control, status: other, directory, host } = given
      const isReload = line.endsWith('config reload')
      if (isReload) host.write('fixsmtpio', 'so bad\n')
      const env = {
        ...process.env,
        ctl: `${process.execPath} ${program} --socket ${control}`,
        status: other,
        zeros: '0'.repeat(64),
        deaf: join(directory, 'deaf'),
        bad: join(directory, 'bad'),
      }
      const child = spawn('bash', ['-o', 'pipefail', '-c', line], { env, stdio: ['ignore', 'ignore', 'pipe'] })
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
      const got = await new Promise<number | null>((resolve) => child.on('close', resolve))
      assert.match(said, err)
      assert.equal(got, code)
    })
})
