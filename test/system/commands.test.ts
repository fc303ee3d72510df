// The commands of README, docs and the manual pages, typed as they are, in the order of test/docs/commands.ts, on a host with the package.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { COMMANDS, named, written } from '../docs/commands.ts'
import { type Packaged, packagedHost } from './recipes.ts'

let all: Packaged
before(
  async () => {
    all = await packagedHost()
    await all.host.sh('mkdir /root/here')
  },
  { timeout: 1_000_000 },
)
after(() => all.end())

for (const [document, rows] of Object.entries(COMMANDS))
  for (const [name, claim] of Object.entries(rows))
    if ('typed' in claim)
      void it(`${document}: ${name}`, async () => {
        const { host } = all
        const whole = written.get(document)?.find((command) => named(command) === name) ?? ''
        if (claim.first !== undefined) await host.sh(`cd /root/here\n${claim.first}`)
        const ran = await host.run(['bash', '-c', `cd /root/here; ${whole}`], claim.input ?? '')
        const right = typeof claim.typed === 'number' ? [claim.typed] : claim.typed
        assert.ok(
          ran.code !== undefined && right.includes(ran.code),
          `exit ${ran.code ?? ran.signal}\n${ran.transcript}`,
        )
        if (claim.says !== undefined) assert.match(ran.stdout, claim.says)
      })
