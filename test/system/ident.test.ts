// An identd of the client's host, on the port that it has, and rules of control/access for its users.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { after, before, it } from 'node:test'
import { StreamEnd } from '../support/fake-helper.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { until } from './processes.ts'

const CLIENT = '127.0.0.77'

let fixture: Fixture
let identd: Server
let user = ''
before(async () => {
  fixture = await makeFixture({
    smtp: ['embedded'],
    control: { remoteinfo: '10\n', access: `ann@${CLIENT}:allow\n${CLIENT}:deny\n` },
  })
  identd = createServer((socket) =>
    socket.once('data', (question) => socket.end(`${String(question).trim()} : USERID : UNIX : ${user}\r\n`)),
  ).listen(113, CLIENT)
  await once(identd, 'listening')
})
after(async () => {
  identd.close()
  await fixture.end()
})

for (const [name, answer] of [
  ['ann', '220 '],
  ['bob', '554 access denied'],
] as const)
  void it(`${name} at its host gets ${answer.trim()}`, async () => {
    user = name
    const port = fixture.daemon.port('embedded')
    const end = new StreamEnd(connect({ port, host: '127.0.0.1', localAddress: CLIENT }))
    await until(answer, () => end.heard().includes(answer), { show: () => end.heard() })
    end.socket.destroy()
    const asked = { ip: CLIENT, info: name }
    const { allowed } = (await fixture.daemon.call('access.eval', asked)) as { allowed: boolean }
    assert.equal(allowed, answer === '220 ')
  })
