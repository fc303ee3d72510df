// What a runtime does with certificates that are no longer good when it replaces one that died: keys are only in files.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { HealthCheck } from '../../src/contract/daemon.ts'
import { type Host, startHost } from '../support/host.ts'
import { letExpire, makePair, type PairFiles, tlsClient } from '../support/tls.ts'
import { until } from '../support/until.ts'

type Names = 'mx.example' | 'other.example'

interface Begun {
  readonly host: Host
  readonly pairs: Readonly<Record<Names, PairFiles>>
  /** The runtime dies, and this one replaces it. */
  readonly next: () => Promise<Host>
}

async function begun(t: TestContext, tls: 'implicit' | 'offer' | 'require'): Promise<Begun> {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-pairs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const pairs = { 'mx.example': makePair(folder, 'mx.example'), 'other.example': makePair(folder, 'other.example') }
  const plain = await startHost(t)
  const { directory } = plain
  await plain.stop()
  const lines = Object.entries(pairs).map(([name, { certificate, key }]) => `${name} ${certificate} ${key}\n`)
  writeFileSync(join(directory, 'tls'), lines.join(''))
  writeFileSync(join(directory, 'listeners'), `127.0.0.1:0 smtp submission name=submission tls=${tls}\n`)
  const host = await startHost(t, { directory })
  return {
    host,
    pairs,
    next: async () => {
      await host.stop()
      return startHost(t, { directory, restarts: 1 })
    },
  }
}

/** The subject of the certificate that a client is shown. */
async function shown({ runtime }: Host, servername: Names): Promise<unknown> {
  const client = await tlsClient({ host: '127.0.0.1', port: runtime.options.ports[0] ?? 0, servername })
  const { CN } = client.getPeerCertificate().subject
  client.destroy()
  return CN
}

const check = async ({ daemon }: Host): Promise<HealthCheck | undefined> =>
  (await daemon.server.health()).find(({ name }) => name === 'certificates')

void describe('the runtime after one that died', () => {
  void it('uses a certificate that has expired in the meantime, as its predecessor did, and reports it', async (t) => {
    const { host, pairs, next } = await begun(t, 'implicit')
    assert.equal(await shown(host, 'mx.example'), 'mx.example')
    letExpire(pairs['mx.example'], 'mx.example')
    const after = await next()
    assert.equal(await shown(after, 'mx.example'), 'mx.example')
    const failed = await check(after)
    assert.equal(failed?.state, 'failed')
    assert.match(
      failed?.detail ?? '',
      /^what control\/tls:1:1 names cannot be used;.* control\/tls:1 expired at \d{4}-/,
    )
    assert.match(after.log(), / error certificates-failed by=start errors=1 first="control\/tls:1:1: \S+ expired at /)
    // Once renewed, it is used without mention of its past.
    makePair(join(pairs['mx.example'].certificate, '..'), 'mx.example')
    assert.ok((await after.daemon.tls.reload({ by: 'control', dryRun: false })).isOk())
    assert.equal((await check(after))?.state, 'ok')
  })

  void it('uses the others when one is broken', async (t) => {
    const { pairs, next } = await begun(t, 'implicit')
    writeFileSync(pairs['mx.example'].key, 'no key\n')
    const after = await next()
    assert.equal(await shown(after, 'other.example'), 'other.example')
    assert.equal((await check(after))?.state, 'failed')
  })

  for (const tls of ['implicit', 'offer', 'require'] as const)
    void it(`refuses the clients of a listener with tls=${tls} while all are broken, until one is repaired`, async (t) => {
      const { pairs, next } = await begun(t, tls)
      const [first, second] = [pairs['mx.example'], pairs['other.example']]
      const good = readFileSync(first.certificate)
      for (const { certificate } of [first, second]) writeFileSync(certificate, 'no certificate\n')
      const after = await next()
      const client = after.dial()
      await until('the refusal', () => client.heard().endsWith('\r\n'))
      assert.match(client.heard(), /^421 (4\.3\.2 )?no certificate/)
      const line = / warn session-refused ip=127\.0\.0\.1 listener=submission why="no certificate"\n/
      await until('its line in the log', () => line.test(after.log()), { show: () => after.log() })
      assert.doesNotMatch(after.log(), / bug /)
      const failed = await check(after)
      assert.equal(failed?.state, 'failed')
      assert.match(
        failed?.detail ?? '',
        /control\/tls:1:1, control\/tls:2:1 .*; listeners with TLS refuse all clients$/,
      )
      writeFileSync(first.certificate, good)
      writeFileSync(second.certificate, good)
      writeFileSync(second.key, readFileSync(first.key))
      assert.ok((await after.daemon.tls.reload({ by: 'control', dryRun: false })).isOk())
      if (tls === 'implicit') assert.equal(await shown(after, 'mx.example'), 'mx.example')
      else assert.match((await after.greeted()).heard(), /^220 /)
    })
})
