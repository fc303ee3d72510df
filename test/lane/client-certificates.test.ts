// Client certificates and SASL EXTERNAL (RFC 4422 appendix A) over real sockets: who is offered it, who they are, and who is refused.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { newTicketKey, type TlsMaterial } from '../../src/edge/tls.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { endWorker, type Lane, startLane, until } from '../support/lane.ts'
import {
  makeAuthority,
  makeClient,
  makePair,
  makeRevocations,
  namedPair,
  type PairFiles,
  tlsClient,
  tlsTexts,
} from '../support/tls.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-clients-'))
/** Whose names the listeners have; nothing reads these files in a lane. */
const OURS = '/ours.pem'
const THEIRS = '/theirs.pem'
/** Those of OURS, with a list of revoked certificates that is in force, and with one that has expired. */
const REVOKING = '/revoking.pem'
const OUTDATED = '/outdated.pem'
let material: TlsMaterial
const clients: Record<string, PairFiles> = {}

before(() => {
  const [ours, theirs] = ['ours', 'theirs'].map((name) => makeAuthority(dir, name)) as [PairFiles, PairFiles]
  const ann = { subject: '/O=Firm/CN=Ann Example', emails: ['Ann@Example.org', 'office@example.org'] }
  clients.ann = makeClient(dir, 'ann', ours, ann)
  const lost = makeClient(dir, 'lost', ours, ann)
  clients.lost = lost
  clients.nobody = makeClient(dir, 'nobody', ours, { subject: '/CN=Nobody' })
  clients.root = makeClient(dir, 'root', ours, { subject: '/CN=x', emails: ['root@staff.example'] })
  clients.odd = makeClient(dir, 'odd', ours, { subject: '/CN=a\\, email:ann@example.org', emails: [] })
  clients.stranger = makeClient(dir, 'stranger', theirs, ann)
  clients.self = makeAuthority(dir, 'self')
  material = {
    pairs: [namedPair(['mx.example'], makePair(dir, 'mx.example', 'ec'))],
    minimum: 'TLSv1.2',
    ciphers: '',
    unknownName: 'default',
    tickets: [newTicketKey()],
    authorities: {
      [OURS]: readFileSync(ours.certificate),
      [THEIRS]: readFileSync(theirs.certificate),
      [REVOKING]: withList(ours, makeRevocations(dir, ours, [lost])),
      [OUTDATED]: withList(ours, makeRevocations(dir, ours, [], '20210101000000Z')),
    },
  }
})
after(async () => {
  await endWorker()
  rmSync(dir, { recursive: true })
})

function withList({ certificate }: PairFiles, list: string): Buffer {
  return Buffer.concat([readFileSync(certificate), Buffer.from(list)])
}

const CERTUSERS = `ann ann@example.org
office office@example.org
% %@staff.example
firm O=Firm
`

async function lane(t: TestContext, listener: string, certusers = CERTUSERS): Promise<Lane> {
  const started = await startLane({ ...tlsTexts(listener), certusers }, { tls: material })
  started.helper.answering = (asked) =>
    asked.answer('ok 1000 1000 42').send(listener.startsWith('pop3') ? '+OK 0 messages\r\n' : '220 backend\r\n')
  t.after(started.stop)
  return started
}

const IMPLICIT = `smtp submission tls=implicit clients=${OURS} external=certified`

const certified = (name: string | undefined): ConnectionOptions => {
  const files = name === undefined ? undefined : clients[name]
  return files === undefined ? {} : { cert: readFileSync(files.certificate), key: readFileSync(files.key) }
}

const dial = (one: Lane, options: ConnectionOptions): Promise<TLSSocket> =>
  tlsClient({ port: one.port, host: '127.0.0.1', ...options })

async function ask(end: StreamEnd, line: string | undefined, last: RegExp): Promise<string> {
  const from = end.heard().length
  if (line !== undefined) end.send(`${line}\r\n`)
  await until(`${String(last)} after ${line}: ${end.heard()}`, () => last.test(end.heard().slice(from)))
  return end.heard().slice(from)
}

/** What EHLO says of AUTH to a client with this certificate. */
async function offered(one: Lane, name: string | undefined, more: ConnectionOptions = {}): Promise<StreamEnd> {
  const end = new StreamEnd(await dial(one, { ...certified(name), ...more }))
  await ask(end, undefined, /^220 /)
  return end
}
const ehlo = async (end: StreamEnd): Promise<string> =>
  /AUTH [^\r]*/.exec(await ask(end, 'EHLO me', /^250 /m))?.[0] ?? 'nothing'

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')
const PASSWORDS = 'AUTH LOGIN PLAIN'
const ALL = 'AUTH LOGIN PLAIN EXTERNAL'

void describe('EXTERNAL', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    void it(`logs in the user whom a certificate names, in ${version}: the first line that matches`, async (t) => {
      const one = await lane(t, IMPLICIT)
      const end = await offered(one, 'ann', { minVersion: version, maxVersion: version })
      assert.equal(await ehlo(end), ALL)
      await ask(end, 'AUTH EXTERNAL =', /^235 /m)
      const [asked] = one.helper.asked
      assert.deepEqual([asked?.text, asked?.chain], ['certificate ann ', 'certified'])
      for (const variable of ['ACCEPTD_AUTH=EXTERNAL', 'SSL_CLIENT_S_DN_CN=Ann Example', `SSL_PROTOCOL=${version}`])
        assert.ok(asked?.environment.includes(variable), `${variable} in ${asked?.environment.join(' ')}`)
      await until('the log', () => / login-accepted .* user=ann .* auth=EXTERNAL\n/.test(one.log()))
    })
  void it('takes the empty response after a challenge, and a name that the certificate has, too', async (t) => {
    const one = await lane(t, IMPLICIT)
    for (const [name, user] of [
      ['', 'ann'],
      ['office', 'office'],
      ['firm', 'firm'],
    ] as const) {
      const end = await offered(one, 'ann')
      await ask(end, 'AUTH EXTERNAL', /^334 \r\n/)
      await ask(end, base64(name), /^235 /m)
      assert.equal(one.helper.asked.at(-1)?.text, `certificate ${user} `)
    }
  })
  void it('refuses any other name, without asking the helper', async (t) => {
    const one = await lane(t, IMPLICIT)
    const end = await offered(one, 'ann')
    assert.match(await ask(end, `AUTH EXTERNAL ${base64('bob')}`, /\n$/), /^535 /)
    assert.match(await ask(end, `AUTH EXTERNAL ${base64('ann\0x')}`, /\n$/), /^501 /)
    assert.match(await ask(end, 'AUTH EXTERNAL !', /\n$/), /^501 /)
    assert.equal(one.helper.asked.length, 0)
    await until('the log', () => / authzid-refused .* user=ann\b/.test(one.log()))
  })
  void it('asks the chain of passwords for a password that comes after a refused certificate', async (t) => {
    const one = await lane(t, IMPLICIT)
    one.helper.answering = (asked) => asked.answer('exit 1')
    const end = await offered(one, 'ann')
    await ask(end, 'AUTH EXTERNAL =', /^535 /m)
    await ask(end, `AUTH PLAIN ${base64('\0me\0secret')}`, /^535 /m)
    assert.deepEqual(
      one.helper.asked.map(({ text, chain }) => `${chain}: ${text}`),
      ['certified: certificate ann ', 'submission: auth me secret'],
    )
    await until('the log', () => / login-failed .* user=ann remaining=4 auth=EXTERNAL\n/.test(one.log()))
    await until('the log', () => / login-failed .* user=me remaining=3 auth=PLAIN\n/.test(one.log()))
  })
  void it('leaves it to the helper to refuse root', async (t) => {
    const one = await lane(t, IMPLICIT)
    one.helper.answering = (asked) => asked.answer('root')
    const end = await offered(one, 'root')
    await ask(end, 'AUTH EXTERNAL =', /^535 /m)
    assert.equal(one.helper.asked[0]?.text, 'certificate root ')
    await until('the log', () => / LOGIN-AS-ROOT-REFUSED .* user=root .*auth=EXTERNAL\n/.test(one.log()))
  })

  const without: readonly (readonly [what: string, client: string | undefined, why: string | undefined])[] = [
    ['no certificate', undefined, undefined],
    ['a certificate that control/certusers does not name', 'nobody', undefined],
    ['a common name with an address in it', 'odd', undefined],
    ['a certificate of another authority', 'stranger', 'UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)'],
    ['a self-signed certificate', 'self', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ]
  for (const [what, client, why] of without)
    void it(`is not there for a client with ${what}`, async (t) => {
      const one = await lane(t, IMPLICIT)
      const end = await offered(one, client)
      assert.equal(await ehlo(end), PASSWORDS)
      assert.match(await ask(end, 'AUTH EXTERNAL =', /\n$/), /^504 /)
      assert.match(await ask(end, `AUTH PLAIN ${base64('\0me\0secret')}`, /\n$/), /^235 /)
      const refused = new RegExp(` warn client-certificate-refused ip=127.0.0.1 port=\\d+ listener=smtp:0 why=${why}\n`)
      await until('the log', () => (why === undefined ? one.log() !== '' : refused.test(one.log())))
      assert.equal(/client-certificate-refused/.test(one.log()), why !== undefined)
    })
  for (const [what, authority, client, why] of [
    ['whose certificate is revoked', REVOKING, 'lost', 'CERT_REVOKED'],
    ['whose authority has a list that is out of date', OUTDATED, 'ann', 'CRL_HAS_EXPIRED'],
  ] as const)
    void it(`is not there for a client ${what}`, async (t) => {
      const one = await lane(t, `smtp submission tls=implicit clients=${authority} external=certified`)
      const end = await offered(one, client)
      assert.equal(await ehlo(end), PASSWORDS)
      assert.match(await ask(end, 'AUTH EXTERNAL =', /\n$/), /^504 /)
      await until('the log', () => new RegExp(` warn client-certificate-refused .* why=${why}\n`).test(one.log()))
    })
  void it('is there for a client whom the list does not name', async (t) => {
    const one = await lane(t, `smtp submission tls=implicit clients=${REVOKING} external=certified`)
    const end = await offered(one, 'ann')
    assert.equal(await ehlo(end), ALL)
    await ask(end, 'AUTH EXTERNAL =', /^235 /m)
  })
  void it('is not there where no listener asks for certificates', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    assert.equal(await ehlo(await offered(one, 'ann')), PASSWORDS)
  })
  void it('is there after STARTTLS only', async (t) => {
    const one = await lane(t, `smtp submission tls=offer clients=${OURS} external=certified`)
    const plain = connect({ port: one.port, host: '127.0.0.1' })
    const early = new StreamEnd(plain)
    await ask(early, undefined, /^220 /)
    assert.equal(await ehlo(early), PASSWORDS)
    assert.match(await ask(early, 'AUTH EXTERNAL =', /\n$/), /^504 /)
    await ask(early, 'STARTTLS', /^220 /m)
    plain.removeAllListeners('data')
    const end = new StreamEnd(await tlsClient({ socket: plain, ...certified('ann') }))
    assert.equal(await ehlo(end), ALL)
    await ask(end, 'AUTH EXTERNAL =', /^235 /m)
  })
  void it('is a mechanism of POP3, and CAPA names it', async (t) => {
    const one = await lane(t, `pop3 submission tls=implicit clients=${OURS} external=certified`)
    const end = new StreamEnd(await dial(one, certified('ann')))
    await ask(end, undefined, /^\+OK /)
    assert.match(await ask(end, 'CAPA', /\r\n\.\r\n/), /\r\nSASL PLAIN LOGIN EXTERNAL\r\n/)
    await ask(end, 'AUTH EXTERNAL', /^\+ \r\n/)
    await ask(end, '', /^\+OK 0 messages/)
    assert.equal(one.helper.asked[0]?.text, 'certificate ann ')
  })
})

void describe('a resumed session', () => {
  async function session(one: Lane, name: string): Promise<Buffer> {
    const client = await dial(one, certified(name))
    const ticket = await new Promise<Buffer>((resolve) => void client.once('session', resolve))
    client.destroy()
    return ticket
  }
  void it('has the certificate that it began with', async (t) => {
    const one = await lane(t, IMPLICIT)
    const client = await dial(one, { session: await session(one, 'ann') })
    assert.equal(client.isSessionReused(), true)
    const end = new StreamEnd(client)
    await ask(end, undefined, /^220 /)
    assert.equal(await ehlo(end), ALL)
  })
  void it('brings no certificate to a listener that asks for those of others', async (t) => {
    const one = await lane(t, IMPLICIT)
    const other = await lane(t, `smtp submission tls=implicit clients=${THEIRS} external=certified`)
    const client = await dial(other, { session: await session(one, 'ann') })
    assert.equal(client.isSessionReused(), false)
    const end = new StreamEnd(client)
    await ask(end, undefined, /^220 /)
    assert.equal(await ehlo(end), PASSWORDS)
  })
  void it('brings no certificate once its authority has revoked one', async (t) => {
    const one = await lane(t, IMPLICIT)
    const other = await lane(t, `smtp submission tls=implicit clients=${REVOKING} external=certified`)
    const client = await dial(other, { session: await session(one, 'lost') })
    assert.equal(client.isSessionReused(), false)
  })
  void it('without a certificate brings none', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const other = await lane(t, IMPLICIT)
    const end = new StreamEnd(await dial(other, { session: await session(one, 'ann') }))
    await ask(end, undefined, /^220 /)
    assert.equal(await ehlo(end), PASSWORDS)
  })
})
