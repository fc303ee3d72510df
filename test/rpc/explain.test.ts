// config.explain over the real daemon: what a line does, since when, how often it has applied, and who uses it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCommand } from '../../src/rpc/commandline.ts'
import { fixture } from './fixture.ts'
import { wire } from './wire.ts'

const RULE = 'AUTHUP_USER:noop::250*::250 still here'

void test('a rule has its hits, its generation and its sessions, wherever its line has moved to', async (t) => {
  const { control, host, clients } = await fixture(t)
  const client = wire(control)
  t.after(() => client.end())
  const rules = host.text('fixsmtpio')
  const reload = () => client.call('config.reload', {})
  host.write('fixsmtpio', `${rules}${RULE}\n`)
  await reload()
  const line = rules.split('\n').length
  const explain = async (at: number) => (await client.call('config.explain', { file: 'fixsmtpio', line: at })).result
  assert.deepEqual((await explain(line)).uses, [])
  await host.login('late')
  const [late] = [await host.login('later')]
  await host.say(late, 'NOOP\r\n', /^250 still here\r\n/)
  host.write('fixsmtpio', `# moved\n${rules}${RULE}  \n`)
  await reload()
  await host.login('last')
  const found = await explain(line + 1)
  assert.deepEqual(
    [found.file, found.line, found.kind, found.text, found.hits, found.since.generation, found.sessions, found.drift],
    ['control/fixsmtpio', line + 1, 'rule', RULE, 1, 2, 3, false],
  )
  assert.deepEqual(found.uses, [
    { generation: 2, sessions: 2 },
    { generation: 3, sessions: 1 },
  ])
  assert.ok(Date.parse(found.lastHit) > 0 && found.needsRestart === false)
  host.write('fixsmtpio', rules)
  assert.equal((await explain(line + 1)).drift, true)
  assert.equal(clients.length, 3)
})

void test('a listener, a chain and a limit show who uses them and what they did', async (t) => {
  const { control, host } = await fixture(t)
  const client = wire(control)
  t.after(() => client.end())
  const explain = async (file: string, line?: number) => {
    const { result, error } = await client.call('config.explain', { file, ...(line !== undefined && { line }) })
    return result ?? error.message
  }
  const listener = await explain('listeners', 1)
  assert.deepEqual(
    [listener.name, listener.hits, listener.sessions, listener.needsRestart, listener.filter],
    ['submission', 3, 3, true, { listener: 'submission' }],
  )
  const at = host.text('chains').split('\n').indexOf('chain submission') + 1
  const chain = await explain('chains', at)
  assert.deepEqual([chain.name, chain.sessions, chain.usedBy], ['submission', 3, ['listener submission']])
  const limit = await explain('limits', 1)
  assert.deepEqual([limit.name, limit.hits, limit.sessions], ['recipients-per-user', 0, 3])
  const knob = await explain('timeoutsmtpd')
  assert.deepEqual([knob.kind, knob.text, knob.line, knob.since.generation], ['knob', '1200', undefined, 1])
  assert.match(await explain('limts'), /did you mean limits\?/)
  assert.match(await explain('limits', 99), /has 1 lines/)
})

void test('status.sock sees no word of a control file', async (t) => {
  const { status } = await fixture(t)
  const client = wire(status)
  t.after(() => client.end())
  const { result } = await client.call('config.explain', { file: 'limits', line: 1 })
  assert.deepEqual([result.kind, result.does, result.text, result.filter], ['limit', [], undefined, undefined])
})

void test('acceptctl takes FILE:LINE as one word', () => {
  const params = (...words: string[]) =>
    parseCommand(['config', 'explain', ...words]).match(
      (command) => (command.do === 'request' ? command.request.params : {}),
      ({ problem }) => problem,
    )
  assert.deepEqual(params('control/fixsmtpio:12'), { file: 'control/fixsmtpio', line: 12 })
  // As a compiler or `config check` writes it.
  assert.deepEqual(params('fixsmtpio:12:'), { file: 'fixsmtpio', line: 12 })
  assert.deepEqual(params('fixsmtpio:12:7'), { file: 'fixsmtpio', line: 12 })
  assert.deepEqual(params('fixsmtpio', '12'), { file: 'fixsmtpio', line: 12 })
  assert.deepEqual(params('me'), { file: 'me' })
  assert.equal(params(), 'file is missing')
  assert.equal(params('me:0'), 'line is a whole number, at least 1; not 0')
  assert.equal(params('me:1', 'x'), 'config explain takes no x')
})

void test('lines of access, senders and their files have hits, and the listeners that they apply to', async (t) => {
  const { control, host } = await fixture(t, 0, {
    serving: 'smtp submission name=submission access=access-office',
    files: {
      access: ':allow\n',
      'access-office': '# staff\n127.0.0.:allow\n:deny\n',
      senders: 'ann ann@example\n* %@example\n',
    },
  })
  const client = wire(control)
  t.after(() => client.end())
  const explain = async (file: string, line: number) => (await client.call('config.explain', { file, line })).result
  const office = await explain('access-office', 2)
  assert.deepEqual(
    [office.file, office.kind, office.text, office.usedBy, office.hits],
    ['control/access-office', 'access', '127.0.0.:allow', ['listener submission'], 3],
  )
  assert.ok(Date.parse(office.lastHit) > 0)
  assert.deepEqual([(await explain('access-office', 3)).hits, (await explain('access', 1)).usedBy], [0, []])
  const alice = await host.login('zoe')
  await host.say(alice, 'MAIL FROM:<zoe@example>\r\n', /^250 /)
  await host.say(alice, 'RSET\r\nMAIL FROM:<eve@example>\r\n', /553 /)
  assert.deepEqual([(await explain('senders', 1)).hits, (await explain('senders', 2)).hits], [0, 2])
  // A line that has moved goes on being counted.
  host.write('senders', '# users\n\nann ann@example\n* %@example\n')
  await client.call('config.reload', {})
  assert.equal((await explain('senders', 4)).hits, 2)
})
