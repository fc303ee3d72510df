// A UCSPI-TLS parent, as sslserver -n is one:
//
//   client ══ TCP ══> 0 1 of the program, in plain text
//                     SSLCTLFD: the program writes Y ──> handshake on the same TCP connection
//                     SSLCTLFD: NAME=VALUE NUL ... NUL <── the SSL_* variables; closed without them if the handshake failed
//   client ══ TLS ══> SSLREADFD of the program; its SSLWRITEFD goes back
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import type { Certificate } from './certificate.ts'
import type { PipeServer } from './pipe-servers.ts'
import { endAll, treeOf } from './processes.ts'

export interface UcspiTlsOptions {
  readonly certificate: Certificate
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
}

// The program's descriptors. A descriptor above 2 keeps O_NONBLOCK over spawn(), which the TCP connection shares with us: were it
// cleared, a read of ours could stop this process. So the connection arrives as 3, and a shell puts it on 0 and 1.
const [CLIENT, CONTROL, READ, WRITE] = [3, 4, 5, 6]
const START = `exec "$@" <&${CLIENT} >&${CLIENT} ${CLIENT}<&-`

function variables(tls: TLSSocket): string {
  const { name } = tls.getCipher()
  const all = {
    SSL_PROTOCOL: tls.getProtocol() ?? '',
    SSL_CIPHER: name,
    SSL_SERVER_S_DN: '/CN=localhost',
    SSL_SESSION_ID: tls.getSession()?.toString('hex').slice(0, 64) ?? '',
  }
  return `${Object.entries(all)
    .map(([variable, value]) => `${variable}=${value}\0`)
    .join('')}\0`
}

/** Node makes a Unix stream socket of each 'pipe'. */
function duplex(child: ChildProcess, descriptor: number): Duplex {
  const stream = child.stdio[descriptor]
  if (!(stream instanceof Duplex)) throw new Error(`descriptor ${descriptor} is no socket`)
  stream.on('error', () => undefined) // the program may end at any time
  return stream
}

function startTls(client: Socket, child: ChildProcess, secureContext: SecureContext): void {
  const control = duplex(child, CONTROL)
  const tls = new TLSSocket(client, { isServer: true, secureContext })
  tls.on('error', () => {
    control.end()
    tls.destroy()
  })
  tls.once('secure', () => {
    control.write(variables(tls), 'latin1')
    tls.pipe(duplex(child, READ))
    duplex(child, WRITE).pipe(tls)
  })
}

export async function ucspiTlsServer(argv: readonly string[], options: UcspiTlsOptions): Promise<PipeServer> {
  const { certificate, env = {}, cwd = '/', uid, gid } = options
  const secureContext = createSecureContext({
    cert: readFileSync(certificate.certificate),
    key: readFileSync(certificate.key),
  })
  const children = new Set<ChildProcess>()
  let log = ''

  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (client) => {
    client.on('error', () => undefined)
    const child = spawn('/bin/sh', ['-c', START, 'sh', ...argv], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe', client, 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        PROTO: 'TCP',
        TCPLOCALIP: client.localAddress ?? '',
        TCPLOCALPORT: `${client.localPort ?? ''}`,
        TCPREMOTEIP: client.remoteAddress ?? '',
        TCPREMOTEPORT: `${client.remotePort ?? ''}`,
        SSLCTLFD: `${CONTROL}`,
        SSLREADFD: `${READ}`,
        SSLWRITEFD: `${WRITE}`,
        ...env,
      },
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    children.add(child)
    child.stderr?.setEncoding('latin1').on('data', (text: string) => {
      log += text
    })
    duplex(child, READ)
    duplex(child, WRITE)
    let secure = false
    duplex(child, CONTROL).on('data', (asked: Buffer) => {
      if (secure || !asked.includes('Y')) return
      secure = true
      startTls(client, child, secureContext)
    })
    child.on('error', (error) => {
      log += `${error.message}\n`
      client.destroy()
    })
    child.on('close', () => {
      children.delete(child)
      // Over TLS, the connection ends after what is still on its way.
      if (!secure) client.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    pid: process.pid,
    log: () => log,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      await endAll([...children].flatMap((child) => treeOf(child.pid ?? 0)))
      await closed
    },
  }
}
