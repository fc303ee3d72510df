// backend.probe: a backend is run, asked for its EHLO, and let go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'

void test('what a backend offers is held against control/smtpcapabilities', async (t) => {
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

void test('a chain that asks for a password, one that is not there, and none of kind probe', async (t) => {
  const { daemon } = await startHost(t)
  for (const chain of ['submission', 'nobody', undefined])
    assert.equal((await daemon.backends.probe(chain))._unsafeUnwrapErr().failure, 'not-found')
})
