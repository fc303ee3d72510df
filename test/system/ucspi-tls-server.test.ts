import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { type Certificate, makeCertificate } from './certificate.ts'
import { TOP } from './machine.ts'
import type { PipeServer } from './pipe-servers.ts'
import { ucspiTlsServer } from './ucspi-tls-server.ts'

void describe('the UCSPI-TLS parent of the tests', () => {
  let dir: string
  let certificate: Certificate
  let server: PipeServer
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'acceptd-ucspi-'))
    certificate = await makeCertificate(dir)
    server = await ucspiTlsServer([process.execPath, join(TOP, 'dist/test/system/ucspi-echo.js')], { certificate })
  })
  after(async () => {
    await server.stop()
    rmSync(dir, { recursive: true })
  })

  void it('carries a client through STARTTLS and half a megabyte both ways', async () => {
    const socket = connect(server.port, '127.0.0.1')
    const [greeting] = await once(socket, 'data')
    assert.equal(String(greeting), '220 plain\r\n')
    socket.write('STARTTLS\r\n')
    const [go] = await once(socket, 'data')
    assert.equal(String(go), '220 go\r\n')
    const tls = connectTls({ socket, servername: 'localhost', rejectUnauthorized: false })
    let answer = ''
    tls.setEncoding('latin1').on('data', (text: string) => {
      answer += text
    })
    const sent = 'x'.repeat(1 << 19)
    tls.end(sent)
    await once(tls, 'close')
    const [first = '', ...rest] = answer.split('\r\n')
    assert.match(first, /^250 SSL_PROTOCOL=TLSv1\.3 SSL_CIPHER=\S+ SSL_SERVER_S_DN=\/CN=localhost SSL_SESSION_ID=/)
    assert.equal(rest.join('\r\n').length, sent.length)
  })

  void it('closes the control descriptor when the handshake fails', async () => {
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'data')
    socket.write('STARTTLS\r\n')
    await once(socket, 'data')
    socket.write('this is no handshake\r\n')
    await once(socket, 'close')
  })
})
