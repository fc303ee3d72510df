// backend.probe: a backend is run, asked for its EHLO reply, and ended.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'

void test('what a backend offers is compared with control/smtpcapabilities', async (t) => {
  const { daemon, helper } = await startHost(t)
  const probed = (await daemon.backends.probe('open'))._unsafeUnwrap()
  assert.equal(probed.greeting, '220 backend')
  assert.deepEqual(probed.backend, ['STARTTLS', 'AUTH LOGIN', 'CHUNKING', 'SIZE'])
  assert.deepEqual(probed.advice, [
    { do: 'remove', line: '8BITMIME', why: 'the backend does not offer it' },
    { do: 'add', line: 'CHUNKING', why: 'the backend offers it' },
    { do: 'add', line: 'SIZE', why: 'the backend offers it' },
  ])
  assert.match(helper.backends.at(-1)?.heard() ?? '', /^EHLO \S+\r\nQUIT\r\n$/)
  await until('the end of the backend', () => helper.backends.at(-1)?.closed() === true)
})

for (const [what, says, reason] of [
  ['that greets 554', '554 no\r\n', /backend-refused/],
  ['that speaks nonsense', 'hello\r\n', /backend-refused/],
  ['that ends', undefined, /backend-ended/],
] as const)
  void test(`a backend ${what}`, async (t) => {
    const { daemon, helper } = await startHost(t)
    helper.answering = (asked) => {
      const backend = asked.answer('ok 1000 1000 42')
      if (says === undefined) backend.close()
      else backend.send(says)
    }
    assert.match((await daemon.backends.probe('open'))._unsafeUnwrapErr().reason, reason)
  })

void test('a chain that asks for a password, one that does not exist, and no chain of kind probe at all', async (t) => {
  const { daemon } = await startHost(t)
  for (const chain of ['submission', 'nobody', undefined])
    assert.equal((await daemon.backends.probe(chain))._unsafeUnwrapErr().failure, 'not-found')
})

const PROBE = 'chain look\n  kind probe 1000 1000\n  backend /bin/backend\n'
const RELOAD = { from: 'disk', by: 'control', apply: 'new-sessions', dryRun: false } as const

void test('`probe` in control/smtpcapabilities: EHLO offers what the backend does, in both lanes, also after it has changed', async (t) => {
  const host = await startHost(t)
  host.write('chains', `${host.text('chains')}${PROBE}`)
  host.write('smtpcapabilities', 'probe\n')
  assert.ok((await host.daemon.config.change(RELOAD)).isOk())
  await until('the log', () => / info capabilities chain=look offered="CHUNKING, SIZE"\n/.test(host.log()))
  for (const lane of [1, 2])
    await until('the offer', async () => {
      const client = await host.greeted(lane)
      await host.say(client, 'EHLO me\r\n', /^250 /m)
      return client.heard().endsWith('\r\n250-AUTH LOGIN PLAIN\r\n250-CHUNKING\r\n250 SIZE\r\n')
    })
  assert.deepEqual((await host.daemon.backends.probe('look'))._unsafeUnwrap().advice, [])
  const before = host.helper.answering
  host.helper.answering = (asked) => {
    if (asked.text === 'guest') asked.answer('ok 1000 1000 42').send('554 not today\r\n')
    else before?.(asked)
  }
  host.write('chains', `${host.text('chains')}\n`)
  assert.ok((await host.daemon.config.change(RELOAD)).isOk())
  await until('the failure', () => / warn probe-failed chain=look message=.*554 not today/.test(host.log()))
  const client = await host.greeted()
  await host.say(client, 'EHLO me\r\n', /^250 SIZE\r\n/m)
})

void test('capabilities that the backend lacks are logged at a change', async (t) => {
  const host = await startHost(t)
  host.write('chains', `${host.text('chains')}${PROBE}`)
  assert.ok((await host.daemon.config.change(RELOAD)).isOk())
  const said = / warn capabilities-differ chain=look change="remove 8BITMIME, add CHUNKING, add SIZE"\n/
  await until('the log', () => said.test(host.log()))
})
