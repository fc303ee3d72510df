// smtp-server-main PORT USERS: nodemailer's smtp-server with the bench's users, discarding.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'

interface Options {
  readonly disabledCommands: readonly string[]
  readonly authMethods: readonly string[]
  readonly allowInsecureAuth: boolean
  readonly disableReverseLookup: boolean
  readonly size: number
  readonly onAuth: (
    auth: { readonly username: string; readonly password: string },
    session: unknown,
    done: (error: Error | null, answer?: { readonly user: string }) => void,
  ) => void
  readonly onData: (stream: Readable, session: unknown, done: () => void) => void
}
interface Server {
  listen(port: number, address: string): void
  on(event: 'error', listener: () => void): void
}

/** What is used of a connection's inside. */
interface Connection {
  readonly init: () => void
  readonly _setListeners: (then: () => void) => void
  readonly connectionReady: () => void
}

const require = createRequire(import.meta.url)
const { SMTPServer } = require('smtp-server') as { SMTPServer: new (options: Options) => Server }
const { SMTPConnection } = require(join(dirname(require.resolve('smtp-server')), 'smtp-connection.js')) as {
  SMTPConnection: { readonly prototype: Connection }
}
// It waits 100 ms before it greets, for clients that speak too early, and no option changes that. Nobody else does.
const greetAtOnce: Pick<Connection, 'init'> & ThisType<Connection> = {
  init() {
    this._setListeners(() => this.connectionReady())
  },
}
Object.assign(SMTPConnection.prototype, greetAtOnce)

const [port, users] = process.argv.slice(2).map(Number)
const passwords = new Map(Array.from({ length: users ?? 1 }, (_, index) => [`user${index}`, `secret${index}`]))

const server = new SMTPServer({
  disabledCommands: ['STARTTLS'],
  authMethods: ['PLAIN', 'LOGIN'],
  allowInsecureAuth: true,
  disableReverseLookup: true,
  size: 50_000_000,
  onAuth({ username, password }, _session, done) {
    if (passwords.get(username) === password) done(null, { user: username })
    else done(new Error('wrong password'))
  },
  onData(stream, _session, done) {
    stream.on('end', () => done())
    stream.resume()
  },
})
server.on('error', () => undefined)
server.listen(port ?? 0, '127.0.0.1')
