// Client certificates while acceptd runs: who they stand for, and who signs them, change without a restart; what is broken changes nothing.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { planStart } from '../../src/config/plan.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { type Host, startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'
import {
  makeAuthority,
  makeClient,
  makePair,
  makeRevocations,
  type PairFiles,
  tlsClient,
  tlsTexts,
} from '../support/tls.ts'

interface Fixture {
  readonly host: Host
  readonly authority: string
  readonly ours: PairFiles
  readonly theirs: PairFiles
  readonly ann: PairFiles
  readonly stranger: PairFiles
}

async function fixture(t: TestContext): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), 'acceptd-host-'))
  const files = (name: string) => join(directory, name)
  const [ours, theirs] = [makeAuthority(directory, 'README.ours'), makeAuthority(directory, 'README.theirs')]
  const subject = { subject: '/CN=Ann', emails: ['ann@example.org'] }
  const ann = makeClient(directory, 'README.ann', ours, subject)
  const stranger = makeClient(directory, 'README.stranger', theirs, subject)
  const pair = makePair(directory, 'README.mx')
  const authority = files('README.authority.pem')
  copyFileSync(ours.certificate, authority)
  const texts = {
    ...tlsTexts(`smtp submission tls=implicit clients=${authority} external=certified name=submission`),
    tls: `mx.example ${pair.certificate} ${pair.key}\n`,
    certusers: 'ann ann@example.org\n',
  }
  for (const [name, text] of Object.entries(texts)) writeFileSync(files(name), text)
  const host = await startHost(t, { directory })
  host.helper.answering = (asked) => asked.answer('ok 1000 1000 42').send('220 backend\r\n')
  return { host, authority, ours, theirs, ann, stranger }
}

/** Whom the helper is asked for when this client logs in by its certificate; undefined: it is offered nothing. */
async function logsIn({ host }: Fixture, { certificate, key }: PairFiles): Promise<string | undefined> {
  const port = host.runtime.options.ports[0] ?? 0
  const files = { cert: readFileSync(certificate), key: readFileSync(key) }
  const end = new StreamEnd(await tlsClient({ port, host: '127.0.0.1', ...files }))
  const reply = async (line: string, last: RegExp): Promise<string> => {
    const from = end.heard().length
    if (line !== '') end.send(`${line}\r\n`)
    await until(`an answer to ${line}`, () => last.test(end.heard().slice(from)))
    return end.heard().slice(from)
  }
  await reply('', /^220 /)
  const asked = host.helper.asked.length
  const offers = /^250-AUTH .*EXTERNAL/m.test(await reply('EHLO me', /^250 /m))
  const answer = await reply('AUTH EXTERNAL =', /\n$/)
  assert.equal(answer.startsWith('235 '), offers)
  end.socket.destroy()
  return host.helper.asked[asked]?.text
}

const reload = async ({ host }: Fixture) =>
  host.daemon.config.change({ from: 'disk', apply: 'new-sessions', by: 'control', dryRun: false })
const reloadTls = async ({ host }: Fixture) => host.daemon.tls.reload({ by: 'control', dryRun: false })

void test('the user of a certificate changes with a reload', async (t) => {
  const one = await fixture(t)
  assert.equal(await logsIn(one, one.ann), 'certificate ann ')
  assert.deepEqual(await one.host.daemon.certusers.evaluate('ANN@example.org'), [{ user: 'ann', line: 1 }])
  one.host.write('certusers', '# x\nbob CN=Ann\n')
  assert.ok((await reload(one)).isOk())
  assert.equal(await logsIn(one, one.ann), 'certificate bob ')
  assert.deepEqual(await one.host.daemon.certusers.evaluate('CN=Ann'), [{ user: 'bob', line: 2 }])
  one.host.write('certusers', 'bob nonsense\n')
  const refused = await reload(one)
  assert.match(JSON.stringify(refused._unsafeUnwrapErr()), /control\/certusers.*is no name of a certificate/)
  assert.equal(await logsIn(one, one.ann), 'certificate bob ')
})

void test('the authority changes with tls.reload, and stays while the new file is broken', async (t) => {
  const one = await fixture(t)
  assert.equal(await logsIn(one, one.stranger), undefined)
  for (const [broken, problem] of [
    ['nothing', 'holds no certificate'],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'is not a list of certificates'],
  ] as const) {
    writeFileSync(one.authority, broken)
    const { message, data } = (await reloadTls(one))._unsafeUnwrapErr()
    assert.match(message, /the certificates that were loaded stay/)
    assert.match(JSON.stringify(data), new RegExp(`"file":"control/listeners","line":1,.*${problem}`))
    assert.equal(await logsIn(one, one.ann), 'certificate ann ')
  }
  copyFileSync(one.theirs.certificate, one.authority)
  assert.ok((await reloadTls(one)).isOk())
  assert.equal(await logsIn(one, one.ann), undefined)
  assert.equal(await logsIn(one, one.stranger), 'certificate ann ')
  writeFileSync(
    one.authority,
    readFileSync(one.ours.certificate, 'latin1') + readFileSync(one.theirs.certificate, 'latin1'),
  )
  assert.ok((await reloadTls(one)).isOk())
  for (const client of [one.ann, one.stranger]) assert.equal(await logsIn(one, client), 'certificate ann ')
})

void test('a list of revoked certificates applies from tls.reload on, and one that is broken changes nothing', async (t) => {
  const one = await fixture(t)
  const authority = readFileSync(one.ours.certificate, 'latin1')
  assert.equal(await logsIn(one, one.ann), 'certificate ann ')
  writeFileSync(one.authority, `${authority}-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n`)
  assert.match(JSON.stringify((await reloadTls(one))._unsafeUnwrapErr().data), /is not a list of certificates/)
  assert.equal(await logsIn(one, one.ann), 'certificate ann ')
  const directory = mkdtempSync(join(tmpdir(), 'acceptd-revocations-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(one.authority, authority + makeRevocations(directory, one.ours, [one.ann]))
  assert.ok((await reloadTls(one)).isOk())
  assert.equal(await logsIn(one, one.ann), undefined)
  writeFileSync(one.authority, authority + makeRevocations(directory, one.ours, []))
  assert.ok((await reloadTls(one)).isOk())
  assert.equal(await logsIn(one, one.ann), 'certificate ann ')
})

void test('listener.list names the mechanisms, and a start without the file is refused', async (t) => {
  const { host, authority } = await fixture(t)
  const [listener] = await host.daemon.listeners.list()
  assert.deepEqual(listener?.mechanisms, ['LOGIN', 'PLAIN', 'EXTERNAL'])
  const texts = {
    ...host.runtime.current().texts,
    listeners: host.text('listeners').replace(authority, '/nowhere.pem'),
  }
  const { list } = planStart({ texts, errors: [], unknown: [] })._unsafeUnwrapErr()
  assert.deepEqual(
    list.map(({ file, line, problem }) => `${file}:${line}: ${problem}`),
    ['control/listeners:1: /nowhere.pem cannot be read: ENOENT'],
  )
})
