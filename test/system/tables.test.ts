// Tables that other programs read and write, too: control/access as tcprules and tcprulescheck have it, and a cdb as tinycdb makes it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import fc from 'fast-check'
import { accessFor, parseAccess } from '../../src/config/access.ts'
import { parseSenders, sendersFor } from '../../src/config/senders.ts'
import { TOP } from './machine.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-tables-'))
after(() => rmSync(dir, { recursive: true }))

const octet = fc.constantFrom('1', '2', '10')
const ip = fc.array(octet, { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'))
const host = fc.constantFrom('a.example', 'b.a.example', 'a.b.a.example', 'other')
const user = fc.constantFrom('ann', 'bob')
const address = fc.oneof(
  ip,
  fc.array(octet, { minLength: 1, maxLength: 3 }).map((octets) => `${octets.join('.')}.`),
  ip.map((text) => text.replace(/\d+$/, '1-3')),
  host.map((name) => `=${name}`),
  host.map((name) => `=.${name}`),
  fc.tuple(user, ip).map(([name, text]) => `${name}@${text}`),
  fc.tuple(user, host).map(([name, text]) => `${name}@=${text}`),
  fc.constantFrom('', '='),
)
const rule = fc.tuple(address, fc.boolean()).map(([text, allow]) => `${text}:${allow ? 'allow' : 'deny'}\n`)

void it('control/access decides as tcpserver does, whatever the rules', () => {
  const [compiled, temporary] = [join(dir, 'rules.cdb'), join(dir, 'rules.tmp')]
  const client = fc.tuple(ip, fc.option(host, { nil: '' }), fc.option(user, { nil: '' }))
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.array(client, { minLength: 5, maxLength: 5 }),
      (rules, clients) => {
        const text = rules.join('')
        execFileSync('tcprules', [compiled, temporary], { input: text })
        const ours = parseAccess(text, 'control/access')._unsafeUnwrap()
        for (const [TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO] of clients) {
          const env = {
            PATH: process.env['PATH'],
            TCPREMOTEIP,
            ...(TCPREMOTEHOST !== '' && { TCPREMOTEHOST }),
            ...(TCPREMOTEINFO !== '' && { TCPREMOTEINFO }),
          }
          const said = execFileSync('tcprulescheck', [compiled], { encoding: 'latin1', env })
          const found = accessFor(ours, TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO)
          const verdict = found?.allow === false ? 'deny connection' : 'allow connection'
          assert.ok(said.includes(verdict), `${text}${JSON.stringify(env)}: ${said}; line ${found?.line}`)
        }
      },
    ),
    { numRuns: 40 },
  )
})

void it('a cdb of tinycdb, made as the manual says, holds what its text holds', () => {
  const [text, temporary, compiled] = ['senders.text', 'senders.tmp', 'senders.cdb'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ]
  const users = Array.from({ length: 3000 }, (_, i) => `user${i} user${i}@example.org\t*@list${i}.example.org\n`)
  writeFileSync(text, `# users\n${users.join('')}* %@everybody.example\n`)
  const command = /^cdb -c .*$/m.exec(readFileSync(join(TOP, 'man/acceptd-control.5'), 'latin1'))?.[0] ?? ''
  const names = { '/etc/acceptd/senders.cdb': compiled, '/etc/acceptd/senders.tmp': temporary, 'senders.text': text }
  const [program = '', ...argv] = command.split(' ').map((word) => (names as Record<string, string>)[word] ?? word)
  execFileSync(program, argv)
  const rights = parseSenders(`cdb:${compiled}\n`, 'control/senders')._unsafeUnwrap()
  for (const i of [0, 1, 1500, 2999])
    assert.deepEqual(sendersFor(rights, `user${i}`)?.senders, [`user${i}@example.org`, `*@list${i}.example.org`])
  assert.deepEqual(sendersFor(rights, 'Carol')?.senders, ['carol@everybody.example'])
})
