// Warm logins: every promise of docs/architecture.md about who gets a parked backend, in a real lane.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, afterEach, beforeEach, describe, it } from 'node:test'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { controlTexts } from '../support/control.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { endWorker, generationOf, type Lane, startLane, until } from '../support/lane.ts'
import { miniBackend } from '../support/mini-backend.ts'
import { parseTranscripts } from '../support/transcript.ts'

after(endWorker)

function texts(warm = 60): ControlTexts {
  const [plain] = parseTranscripts('# settings', '')
  assert.ok(plain !== undefined)
  const control = controlTexts(plain.settings, 'warm')
  return { ...control, chains: (control.chains ?? '').replace('warm 60', `warm ${warm}`) }
}

let lane: Lane
let passwords: Record<string, string>
/** Everything that each backend received, in the order in which they started. */
const got = () => lane.helper.backends.map((one) => one.heard())

async function begin(control: ControlTexts = texts()): Promise<void> {
  lane = await startLane(control)
  passwords = { me: 'secret', you: 'secret' }
  lane.helper.answering = (asked) => {
    const [, user = '', password = ''] = asked.text.split(' ')
    if (passwords[user] !== password) {
      asked.answer('exit 1')
      return
    }
    const end = asked.answer('ok 1000 1000 42')
    const program = miniBackend()
    end.onText = (text) => {
      const said = program.take(text)
      if (said !== '') end.send(said)
      if (said.includes('221 bye')) end.close()
    }
    end.send(program.begin())
    end.socket.on('end', () => end.close())
  }
}

beforeEach(() => begin())
afterEach(() => lane.stop())

async function reply(client: StreamEnd, from: number, lines = 1): Promise<string> {
  const rest = () => client.heard().slice(from)
  await until(
    `${lines} replies, not ${JSON.stringify(client.heard())}`,
    () => (rest().match(/^\d{3} [^\n]*\n/gm)?.length ?? 0) >= lines,
  )
  return rest()
}

async function say(client: StreamEnd, text: string, replies = 1): Promise<string> {
  const from = client.heard().length
  client.send(text)
  return reply(client, from, replies)
}

async function login(
  user = 'me',
  password = 'secret',
  helo = 'client',
): Promise<{ client: StreamEnd; answer: string }> {
  const client = lane.dial()
  await reply(client, 0)
  if (helo !== '') await say(client, `EHLO ${helo}\r\n`)
  return {
    client,
    answer: await say(client, `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}\r\n`),
  }
}

const parked = async (): Promise<number> => (await lane.ask('measure', null)).parked['warm'] ?? 0

/** Logs in, ends as told, and waits until the lane has forgotten the session. */
async function session(end: string, user = 'me'): Promise<string> {
  const { client, answer } = await login(user)
  assert.match(answer, /^235 /)
  // After this nothing is outstanding, not even the repeated EHLO.
  await say(client, 'NOOP\r\n')
  const said = end === '' ? '' : await say(client, end, end.split('\r\n').length - 1)
  client.close()
  await until('the session to end', async () => (await lane.ask('measure', null)).sessions === 0)
  return said
}

/** The next login of `me` starts a new backend. */
async function isCold(): Promise<void> {
  const before = lane.helper.backends.length
  const { client, answer } = await login()
  assert.match(answer, /^235 /)
  assert.equal(lane.helper.backends.length, before + 1)
  client.reset()
}

void describe('a parked backend', () => {
  void it('serves the next login of the same user, whose replies are those of a cold login, and starts with RSET and EHLO', async () => {
    const talk = async () => {
      const { client } = await login('me', 'secret', 'client')
      await say(client, 'EHLO client\r\n')
      await say(client, 'MAIL FROM:<a@b>\r\n')
      await say(client, 'RCPT TO:<a@b>\r\n')
      await say(client, 'DATA\r\n')
      await say(client, 'text\r\n.\r\n')
      await say(client, 'QUIT\r\n')
      client.close()
      await until('the session to end', () => client.closed())
      return client.heard()
    }
    const first = await talk()
    await until('parking', async () => (await parked()) === 1)
    const second = await talk()
    assert.equal(second.replace('queued 2', 'queued 1'), first)
    assert.equal(lane.helper.asked.length, 1)
    const mail = 'MAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\ntext\r\n.\r\n'
    assert.deepEqual(got(), [`EHLO client\r\n${mail}RSET\r\nEHLO client\r\n${mail}`])
  })

  void it('serves even after the client just disconnected between transactions', async () => {
    await session('')
    assert.equal(await parked(), 1)
    await session('NOOP\r\n')
    assert.equal(lane.helper.asked.length, 1)
  })

  void it('and a login without one are counted', async () => {
    await session('QUIT\r\n')
    await session('QUIT\r\n')
    await session('QUIT\r\n')
    const { counted } = await lane.ask('measure', null)
    assert.deepEqual(
      counted.flatMap(({ metric, labels, value }) => (metric === 'acceptd_warm_logins_total' ? [[labels, value]] : [])),
      [
        [{ outcome: 'cold' }, 1],
        [{ outcome: 'taken' }, 2],
      ],
    )
  })

  void it('gives way, the oldest first, before the helper has no process left for a login', async () => {
    await lane.stop()
    const control = texts()
    await begin({ ...control, chains: `max-processes 4\n${control.chains ?? ''}` })
    for (const user of ['one', 'two', 'three', 'four', 'five']) {
      passwords[user] = 'secret'
      await session('QUIT\r\n', user)
    }
    // 90 % of four processes.
    assert.equal(await parked(), 3)
    assert.deepEqual(
      lane.helper.backends.map((one) => one.closed()),
      [true, true, false, false, false],
    )
  })

  void it('is not for another user, whatever the password', async () => {
    await session('QUIT\r\n')
    const { client, answer } = await login('you')
    assert.match(answer, /^235 /)
    assert.equal(lane.helper.backends.length, 2)
    assert.equal(await parked(), 1)
    client.reset()
  })

  void it('is not for a wrong password', async () => {
    await session('QUIT\r\n')
    const { client, answer } = await login('me', 'wrong')
    assert.match(answer, /^535 /)
    client.reset()
    await session('QUIT\r\n')
    assert.equal(lane.helper.backends.length, 1)
  })

  void it('is not for another address', async () => {
    await session('QUIT\r\n')
    const client = new StreamEnd(connect({ port: lane.port, host: '127.0.0.1', localAddress: '127.0.0.9' }))
    await reply(client, 0)
    await say(client, 'EHLO client\r\n')
    assert.match(await say(client, `AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`), /^235 /)
    assert.equal(lane.helper.backends.length, 2)
    client.reset()
  })

  void it('is not for a client that has not said EHLO: its last client has', async () => {
    await session('QUIT\r\n')
    const { client, answer } = await login('me', 'secret', '')
    assert.match(answer, /^235 /)
    assert.equal(lane.helper.backends.length, 2)
    client.reset()
  })

  void it('serves a changed password for the seconds of the knob and no longer, and no warm login renews them', async () => {
    await lane.stop()
    await begin(texts(20))
    await session('QUIT\r\n')
    passwords['me'] = 'new'
    for (let n = 0; n < 3; n += 1) {
      await session('QUIT\r\n')
      await lane.advance(5000)
    }
    assert.equal(lane.helper.asked.length, 1)
    await lane.advance(6000)
    const { client, answer } = await login()
    assert.match(answer, /^535 /)
    client.reset()
    await until('the parked backend to be discarded', async () => (await parked()) === 0)
  })

  void it('is discarded, and its password forgotten, once the chain itself has refused that password', async () => {
    const first = await login()
    passwords['me'] = 'new'
    const second = await login()
    assert.match(second.answer, /^535 /)
    second.client.reset()
    await say(first.client, 'QUIT\r\n')
    await until('the session to end', () => first.client.closed())
    first.client.close()
    assert.equal(await parked(), 0)
    const third = await login()
    assert.match(third.answer, /^535 /)
    third.client.reset()
  })

  void it('is discarded when its user is blocked, and the user is then refused', async () => {
    await session('QUIT\r\n')
    await lane.ask('block', { user: 'me', blocked: true })
    assert.equal(await parked(), 0)
    await until('the backend to be closed', () => lane.helper.backends[0]?.closed() ?? false)
    const { client, answer } = await login()
    assert.match(answer, /^535 /)
    client.reset()
  })

  void it('is discarded by a reload, and a backend that is running during one is not parked', async () => {
    await session('QUIT\r\n')
    const { client } = await login('you')
    await lane.ask('prepare', generationOf(2, texts()))
    await lane.ask('publish', { generation: 2, all: false })
    assert.equal(await parked(), 0)
    await say(client, 'QUIT\r\n')
    client.close()
    await until('the session to end', async () => (await lane.ask('measure', null)).sessions === 0)
    assert.equal(await parked(), 0)
    await isCold()
  })

  void it('is discarded by a reload while it is asked whether it still serves', async () => {
    await session('QUIT\r\n')
    const [end] = lane.helper.backends
    assert.ok(end !== undefined)
    end.onText = () => {
      void lane
        .ask('prepare', generationOf(2, texts()))
        .then(() => lane.ask('publish', { generation: 2, all: false }))
        .then(() => end.send('250 ok\r\n250 hello\r\n'))
    }
    await isCold()
    await until('the old backend to be closed', () => end.closed())
  })

  for (const [what, act] of [
    ['a byte', (end: StreamEnd) => end.send('4')],
    ['a whole reply', (end: StreamEnd) => end.send('250 still here\r\n')],
    ['its end of file', (end: StreamEnd) => end.close()],
    ['its death', (end: StreamEnd) => end.reset()],
  ] as const)
    void it(`is discarded by ${what} while parked`, async () => {
      await session('QUIT\r\n')
      const [end] = lane.helper.backends
      assert.ok(end !== undefined)
      act(end)
      await until('the backend to be discarded', async () => (await parked()) === 0)
      await isCold()
    })

  void it('that refuses RSET or EHLO, or says more, leads to a cold login that the client cannot tell apart', async () => {
    for (const answer of [
      '500 no\r\n250 hello\r\n',
      '250 ok\r\n502 no\r\n',
      '250 ok\r\n250 ok\r\n250 more\r\n',
      '421 bye\r\n',
    ]) {
      await session('QUIT\r\n')
      const end = lane.helper.backends.at(-1)
      assert.ok(end !== undefined)
      end.onText = () => end.send(answer)
      await isCold()
      await until('the session to end', async () => (await lane.ask('measure', null)).sessions === 0)
    }
  })

  void it('that does not answer in five seconds leads to a cold login', async () => {
    await session('QUIT\r\n')
    const [end] = lane.helper.backends
    assert.ok(end !== undefined)
    end.onText = undefined
    const client = lane.dial()
    await reply(client, 0)
    await say(client, 'EHLO client\r\n')
    const from = client.heard().length
    client.send(`AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`)
    await until('the answer', () => client.heard().length > from, { timeout: 7000 })
    assert.match(client.heard().slice(from), /^235 /)
    assert.equal(lane.helper.backends.length, 2)
    assert.ok(end.closed())
  })

  void it('is kept only for users who return, where hardly any do', async () => {
    // A share of one, less a 64th at each of them: below an eighth after 133.
    for (let n = 0; n < 140; n += 1) {
      passwords[`user${n}`] = 'secret'
      await session('QUIT\r\n', `user${n}`)
    }
    const before = await parked()
    await session('QUIT\r\n')
    assert.equal(await parked(), before)
    const backends = lane.helper.backends.length
    await session('QUIT\r\n')
    assert.equal(lane.helper.backends.length, backends + 1)
    await until('parking', async () => (await parked()) === before + 1)
    const asked = lane.helper.asked.length
    await session('QUIT\r\n')
    assert.equal(lane.helper.asked.length, asked)
    assert.equal(await parked(), before + 1)
  })

  void it('has served no more than a hundred sessions', async () => {
    for (let n = 0; n < 101; n += 1) await session('')
    assert.equal(lane.helper.asked.length, 1)
    assert.equal(await parked(), 0)
    await isCold()
  })
})

void describe('a backend is not parked', () => {
  for (const [what, said] of [
    ['of a client gone in DATA', 'DATA\r\n'],
    ['of a client gone within a transaction', 'MAIL FROM:<a@b>\r\n'],
    ['whose client says QUIT within a transaction', 'MAIL FROM:<a@b>\r\nQUIT\r\n'],
    ['whose client pipelines a mail command after QUIT', 'QUIT\r\nMAIL FROM:<smuggled@b>\r\n'],
    ['with half a line from the client', 'NOOP\r\nMAIL FR'],
  ] as const)
    void it(what, async () => {
      const { client } = await login()
      await say(client, said)
      client.send('')
      client.close()
      await until('the session to end', async () => (await lane.ask('measure', null)).sessions === 0)
      assert.equal(await parked(), 0)
      assert.ok(!got().some((text) => text.includes('smuggled')))
      await isCold()
    })

  void it('while the daemon stops', async () => {
    await session('QUIT\r\n')
    const [end] = lane.helper.backends
    await lane.ask('stop', { grace: 1 })
    await until('the backend to be closed', () => end?.closed() ?? false)
  })
})
