// What status.sock never shows: text of the configuration, or why an operator did something. A unique word marks them.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { makePair } from '../support/tls.ts'
import { fixture, restarted } from './fixture.ts'
import { type Wire, wire } from './wire.ts'

const MARK = /quagga/i

/** Each with the word in everything that may be written freely; names of listeners, chains and limits are shown, as identifiers. */
const textsIn = (directory: string): Readonly<Record<string, string>> => {
  const folder = join(directory, 'quagga')
  mkdirSync(folder, { recursive: true })
  const pair = makePair(folder, 'mx.example')
  return {
    access: '127.0.0.:allow,ACCEPTD_QUAGGA="quagga"\n',
    senders: 'zoe quagga@example.org\n',
    certusers: 'zoe CN=quagga\n',
    limits: 'recipients-per-user user recipients 1000/hour\n# quagga\n',
    tls: `mx.example ${pair.certificate} ${pair.key}\n`,
    chains:
      'account 1000\nsocket /nowhere/quagga.sock\nchain submission\n  checkpassword builtin\n  backend /bin/quagga quagga\n',
    listeners: '127.0.0.1:0 smtp submission name=submission\n# quagga\n',
    fixsmtpio: [
      '# quagga',
      'AUTHUP_USER:greeting::2*::235 quagga',
      ':greeting::4*::421 quagga',
      ':noop:MAIL QUAGGA :2*::250 quagga',
      ':rset::2*:7:250 quagga',
      'QUAGGA:quagga::2*::250 x',
      ':vrfy::252 quagga*::',
      '',
    ].join('\n'),
  }
}

/** Parameters that ask for more than the example of a method does. */
const MORE: Readonly<Record<string, readonly object[]>> = {
  'access.eval': [{ ip: '127.0.0.1' }],
  'senders.eval': [{ user: 'zoe', sender: 'zoe@example.org' }, { user: 'zoe' }],
  'limit.eval': [{ ip: '127.0.0.1', user: 'zoe' }],
  'config.get': [{}],
  'config.check': [{}],
  'config.diff': [{}],
  'config.explain': ['access', 'senders', 'certusers', 'limits', 'tls', 'chains', 'listeners', 'fixsmtpio'].flatMap(
    (file) => [{ file }, ...Array.from({ length: 9 }, (_, i) => ({ file, line: i + 1 }))],
  ),
  'rules.eval': [
    { event: 'greeting', reply: '220 x', env: { AUTHUP_USER: 'zoe' } },
    { event: 'noop', request: 'NOOP', reply: '250 x' },
    { event: 'rset', request: 'RSET', reply: '250 x' },
    { event: 'vrfy', request: 'VRFY', reply: '252 quag' },
  ],
  'rules.list': [{}],
  'user.list': [{}],
  'session.list': [{}],
}

/** Further requests, with the word where a reason is. */
async function operate(operator: Wire): Promise<void> {
  const reason = 'quagga'
  for (const [method, params] of [
    ['user.block', { user: 'mallory', reason, ttl: 600 }],
    ['listener.pause', { listener: 'submission', reason, ttl: 600 }],
    ['log.set', { component: 'acceptd', level: 'info', reason, ttl: 600 }],
    ['session.kill', { user: 'alice', mode: 'now', reason }],
    ['config.reload', { reason }],
  ] as const)
    assert.equal((await operator.call(method, params)).error, undefined, method)
}

void test('no answer, page, event or trace on status.sock has a text of the configuration or a reason', async (t) => {
  const begun = await fixture(t)
  const texts = textsIn(begun.directory)
  for (const [name, text] of Object.entries(texts)) begun.host.write(name, text)
  const { host, control, status, metrics } = await restarted(t, begun, {})
  const [operator, stranger, trace] = [wire(control), wire(status), wire(status)]
  for (const one of [operator, stranger, trace]) t.after(() => one.socket.destroy())
  assert.ok((await trace.call('session.trace', {})).result)
  host.write('smtpgreeting', 'mail.example\n')
  const zoe = await host.login('zoe')
  await host.say(zoe, 'NOOP\r\n', /^250 /)
  await operate(operator)
  // A reload that is refused, and drift.
  host.write('fixsmtpio', `${texts.fixsmtpio ?? ''}quagga is no rule\n`)
  host.write('access', `${texts.access ?? ''}quagga quagga\n`)
  assert.equal((await operator.call('config.reload', {})).error.code, -32010)
  host.write('tls', `mx.example /nowhere/quagga.pem /nowhere/quagga.key\n`)
  assert.equal((await operator.call('tls.reload', {})).error, undefined)

  const shows: string[] = []
  for (const [name, { level, example, cli }] of METHOD_MAP) {
    if (level !== 'status' || cli.stream || name === 'rpc.discover' || name === 'event.unsubscribe') continue
    for (const params of [...(MORE[name] ?? []), ...('text' in example.params ? [] : [example.params])]) {
      const what = `${name} ${JSON.stringify(params)}`
      assert.doesNotMatch(JSON.stringify(await stranger.call(name, params)), MARK, what)
      if (MARK.test(JSON.stringify(await operator.call(name, params)))) shows.push(name)
    }
  }
  for (const path of ['/metrics', '/healthz', '/readyz']) {
    for (const at of [{ socketPath: status }, { host: '127.0.0.1', port: metrics.split(':').at(-1) }])
      assert.doesNotMatch(await page({ ...at, path }), MARK, path)
  }
  for (const [one, sees] of [
    [stranger, false],
    [operator, true],
  ] as const) {
    assert.ok((await one.call('event.subscribe', { since: 0 })).result)
    const events: string[] = []
    while (!events.at(-1)?.includes('"tls.reload"')) events.push(JSON.stringify(await one.next()))
    assert.equal(MARK.test(events.join('\n')), sees, events.filter((text) => MARK.test(text)).join('\n'))
  }
  const lines: string[] = []
  while (!lines.some((text) => text.includes('"NOOP"')) || !lines.at(-1)?.includes('"acceptd"'))
    lines.push(JSON.stringify(await trace.next()))
  assert.doesNotMatch(lines.join('\n'), MARK)
  // To be sure that there was something to hide.
  assert.deepEqual(
    [...new Set(shows)],
    [
      'server.health',
      'config.get',
      'config.status',
      'config.check',
      'config.diff',
      'config.history',
      'config.explain',
      'rules.list',
      'rules.eval',
      'tls.list',
      'access.eval',
      'senders.eval',
      'user.list',
      'backend.list',
      'log.errors',
      'op.list',
    ],
  )
})

const page = (options: object): Promise<string> =>
  new Promise((resolve, reject) => {
    get(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
