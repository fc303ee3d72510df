// TLS as others see it: nmap, sslscan and testssl.sh, and HAProxy in front, which passes TLS on or ends it. No accounts are needed:
// the lane is the real one, the helper a double.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TlsMaterial } from '../../src/edge/tls.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { AUTH, acceptingLane, endWorker, type Lane, until } from '../support/lane.ts'
import { makePair, materialOf, namedPair, type PairFiles, tlsClient, tlsTexts } from '../support/tls.ts'
import { haproxy } from './haproxy.ts'
import { must, run } from './run.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-scan-'))
let pair: PairFiles
let tls: TlsMaterial
before(() => {
  pair = makePair(dir, 'mx.example')
  tls = materialOf(namedPair(['mx.example'], pair), namedPair(['mx.example'], makePair(dir, 'mx.example', 'rsa')))
})
after(async () => {
  await endWorker()
  rmSync(dir, { recursive: true })
})

async function lane(t: { after: (f: () => Promise<void>) => void }, listener: string): Promise<Lane> {
  return acceptingLane(t, tlsTexts(listener), { tls })
}

void it('nmap finds TLS 1.2 and 1.3 only, and forward secrecy in every suite', async (t) => {
  const one = await lane(t, 'smtp submission tls=implicit')
  const said = await must(['nmap', '-Pn', '-n', '--script', 'ssl-enum-ciphers', '-p', `${one.port}`, '127.0.0.1'], {
    timeout: 120_000,
  })
  const protocols = [...said.matchAll(/^\|\s+((?:SSL|TLS)v[\d.]+):/gm)].map((found) => found[1])
  assert.ok(protocols.includes('TLSv1.2'), said)
  for (const protocol of protocols) assert.match(protocol ?? '', /^TLSv1\.[23]$/, said)
  const suites = [...said.matchAll(/^\|\s+(TLS_\w+)/gm)].map((found) => found[1] ?? '')
  assert.ok(suites.length >= 6, said)
  for (const suite of suites) assert.match(suite, /^TLS_(ECDHE_(ECDSA|RSA)_WITH_|AKE_WITH_|AES_|CHACHA20_)/, said)
})

for (const [listener, starttls] of [
  ['smtp submission tls=implicit', []],
  ['smtp submission tls=require', ['--starttls-smtp']],
  ['pop3 submission tls=require', ['--starttls-pop3']],
] as const)
  void it(`sslscan agrees: ${listener}`, async (t) => {
    const one = await lane(t, listener)
    const said = await must(['sslscan', '--no-colour', ...starttls, `127.0.0.1:${one.port}`], { timeout: 120_000 })
    for (const [protocol, state] of Object.entries({
      SSLv2: 'disabled',
      SSLv3: 'disabled',
      'TLSv1.0': 'disabled',
      'TLSv1.1': 'disabled',
      'TLSv1.2': 'enabled',
      'TLSv1.3': 'enabled',
    }))
      assert.match(said, new RegExp(`^${protocol.replace('.', '\\.')} +${state}$`, 'm'), said)
    assert.match(said, /Session renegotiation not supported/)
    assert.doesNotMatch(said, /Compression enabled/)
    assert.doesNotMatch(said, /vulnerable to heartbleed(?<!not vulnerable to heartbleed)/)
    const suites = [...said.matchAll(/^(?:Preferred|Accepted) +TLSv1\.\d +\d+ bits +(\S+)/gm)].map(
      (found) => found[1] ?? '',
    )
    assert.ok(suites.length >= 6, said)
    for (const suite of suites) assert.match(suite, /^(ECDHE-|TLS_(AES|CHACHA20)_)/, said)
  })

/** Of the scanner's own OpenSSL and our address; X25519MLKEM768 is there where Node's OpenSSL has it. */
const NOT_OURS = new Set(['engine_problem', 'old_fart', 'cmdline_ip-target', 'FS_KEMs'])

void it('testssl finds nothing weak, and no attack that it knows', async (t) => {
  const one = await lane(t, 'smtp submission tls=require')
  const file = join(dir, 'testssl.json')
  const argv = ['--quiet', '--color', '0', '--warnings', 'batch', '--jsonfile', file, '--starttls', 'smtp']
  const checks = ['--protocols', '--fs', '--server-preference', '--vulnerable']
  const { transcript } = await run(['testssl', ...argv, ...checks, `127.0.0.1:${one.port}`], { timeout: 400_000 })
  const findings = JSON.parse(readFileSync(file, 'utf8')) as readonly Readonly<Record<'id' | 'severity', string>>[]
  const weak = findings.filter(({ id, severity }) => !/^(OK|INFO|DEBUG)$/.test(severity) && !NOT_OURS.has(id))
  assert.deepEqual(weak, [], transcript)
  for (const id of ['TLS1_2', 'TLS1_3', 'secure_renego', 'heartbleed', 'CCS', 'POODLE_SSL'])
    assert.equal(findings.find((found) => found.id === id)?.severity, 'OK', `${id}: ${transcript}`)
})

/** From an address that is not HAProxy's own. */
const CLIENT = '127.0.0.77'

void describe('behind HAProxy', () => {
  const loggedIn = async (one: Lane, end: StreamEnd): Promise<readonly string[]> => {
    await until('the greeting', () => end.heard().includes('220 '))
    end.send(`EHLO me\r\n${AUTH}`)
    await until('the login', () => end.heard().includes('235'))
    await until('the log', () => / login-accepted session=\S+ ip=127\.0\.0\.77 /.test(one.log()))
    return one.helper.asked.at(-1)?.environment ?? []
  }
  for (const send of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl-cn'])
    void it(`with ${send} the session has the client's address`, async (t) => {
      const one = await lane(t, 'smtp submission tls=off proxy=127.0.0.1')
      const port = await haproxy(t, dir, one.port, '', send)
      const end = new StreamEnd(connect({ port, host: '127.0.0.1', localAddress: CLIENT }))
      const variables = await loggedIn(one, end)
      assert.ok(variables.includes(`TCPREMOTEIP=${CLIENT}`), variables.join(' '))
      end.socket.destroy()
    })
  void it('TLS is passed on', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit proxy=127.0.0.1')
    const port = await haproxy(t, dir, one.port, '', 'send-proxy-v2')
    const plain = connect({ port, host: '127.0.0.1', localAddress: CLIENT })
    const end = new StreamEnd(await tlsClient({ socket: plain, servername: 'mx.example' }))
    const variables = await loggedIn(one, end)
    for (const wanted of [`TCPREMOTEIP=${CLIENT}`, 'SSL_TLS_SNI=mx.example', 'SSL_PROTOCOL=TLSv1.3'])
      assert.ok(variables.includes(wanted), variables.join(' '))
    end.socket.destroy()
  })
  void it('TLS that it terminates is reported by send-proxy-v2-ssl-cn, and is enough where TLS is required', async (t) => {
    const one = await lane(t, 'smtp submission tls=require proxy=127.0.0.1')
    const both = join(dir, 'both.pem')
    writeFileSync(both, readFileSync(pair.certificate, 'latin1') + readFileSync(pair.key, 'latin1'), { mode: 0o600 })
    const port = await haproxy(t, dir, one.port, `ssl crt ${both}`, 'send-proxy-v2-ssl-cn')
    const plain = connect({ port, host: '127.0.0.1', localAddress: CLIENT })
    const end = new StreamEnd(await tlsClient({ socket: plain }))
    const variables = await loggedIn(one, end)
    assert.ok(variables.includes(`TCPREMOTEIP=${CLIENT}`), variables.join(' '))
    assert.ok(
      variables.some((each) => each.startsWith('SSL_PROTOCOL=TLSv1.')),
      variables.join(' '),
    )
    assert.doesNotMatch(end.heard(), /STARTTLS/)
    end.socket.destroy()
  })
})
