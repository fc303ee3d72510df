// Real clients, each told which SASL mechanism to use, with a password, a token or a certificate. All in TLS.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'node:util'
import { createTransport } from 'nodemailer'
import { HOST, type Outcome, outcome, TLS_NAME, withFolder } from './clients.ts'

export interface Login {
  readonly port: number
  readonly implicit: boolean
  readonly user: string
  /** A password, or a token; empty for a certificate. */
  readonly secret: string
  readonly mechanism: string
  /** The server's certificate. */
  readonly tls: string
  readonly client?: { readonly certificate: string; readonly key: string }
}

export interface Sending extends Login {
  /** Complete, LF. */
  readonly message: string
}

const FROM = 'me@example.org'
const TO = 'you@example.org'
const isToken = ({ mechanism }: Login): boolean => mechanism === 'XOAUTH2' || mechanism === 'OAUTHBEARER'

export const swaks = ({ port, implicit, user, secret, mechanism, tls, client, message }: Sending): Promise<Outcome> =>
  outcome(
    [
      'swaks',
      '--server',
      HOST,
      '--port',
      `${port}`,
      '--helo',
      'client.example',
      '--from',
      FROM,
      '--to',
      TO,
      '--auth',
      mechanism,
      '--auth-user',
      user,
      '--auth-password',
      secret,
      '--data',
      '-',
      implicit ? '--tlsc' : '--tls',
      '--tls-verify',
      '--tls-ca-path',
      tls,
      ...(client === undefined ? [] : ['--tls-cert', client.certificate, '--tls-key', client.key]),
    ],
    { input: message.replace(/\n$/, '') },
  )

const curlLogin = (login: Login): readonly string[] => {
  const { user, secret, mechanism, tls, client } = login
  return [
    '--ssl-reqd',
    '--cacert',
    tls,
    '--connect-to',
    `${TLS_NAME}::${HOST}:`,
    '--login-options',
    `AUTH=${mechanism}`,
    ...(isToken(login) ? ['--oauth2-bearer', secret, '--user', `${user}:`] : ['--user', `${user}:${secret}`]),
    ...(client === undefined ? [] : ['--cert', client.certificate, '--key', client.key]),
  ]
}

export const curl = (job: Sending): Promise<Outcome> =>
  outcome(
    [
      'curl',
      '-v',
      '--silent',
      '--show-error',
      '--crlf',
      '--upload-file',
      '-',
      ...curlLogin(job),
      '--url',
      `smtp${job.implicit ? 's' : ''}://${TLS_NAME}:${job.port}/client.example`,
      '--mail-from',
      FROM,
      '--mail-rcpt',
      TO,
    ],
    { input: job.message },
  )

/** The list of sizes. */
export const curlPop3 = (job: Login): Promise<Outcome> =>
  outcome(
    [
      'curl',
      '-v',
      '--silent',
      '--show-error',
      ...curlLogin(job),
      '--url',
      `pop3${job.implicit ? 's' : ''}://${TLS_NAME}:${job.port}/`,
    ],
    {},
  )

const rcLines = ({ port, implicit, user, secret, mechanism, tls, client }: Login, file: string): readonly string[] => [
  'account default',
  `host ${HOST}`,
  `port ${port}`,
  'tls on',
  `tls_starttls ${implicit ? 'off' : 'on'}`,
  `tls_trust_file ${tls}`,
  `tls_host_override ${TLS_NAME}`,
  ...(client === undefined ? [] : [`tls_cert_file ${client.certificate}`, `tls_key_file ${client.key}`]),
  `auth ${mechanism.toLowerCase()}`,
  `user "${user}"`,
  // A line has 500 characters at most.
  ...(secret === '' ? [] : [`passwordeval cat ${file}.secret`]),
]

const withRc = (
  job: Login,
  more: readonly string[],
  run: (file: string, folder: string) => Promise<Outcome>,
): Promise<Outcome> =>
  withFolder((folder) => {
    const file = join(folder, 'rc')
    writeFileSync(`${file}.secret`, `${job.secret}\n`, { mode: 0o600 })
    writeFileSync(file, `${[...rcLines(job, file), ...more].join('\n')}\n`, { mode: 0o600 })
    return run(file, folder)
  })

export const msmtp = (job: Sending): Promise<Outcome> =>
  withRc(job, [`from ${FROM}`], (file) =>
    outcome(['msmtp', '--debug', `--file=${file}`, '--', TO], { input: job.message }),
  )

/** It overwrites the files that it is told to write. */
export const mpop = (job: Login): Promise<Outcome> =>
  withFolder((own) => {
    for (const name of ['', 'tmp', 'new', 'cur']) mkdirSync(join(own, 'Maildir', name))
    const more = [`delivery maildir ${own}/Maildir`, `uidls_file ${own}/uidls`, 'keep on']
    return withRc(job, more, (file) => outcome(['mpop', '--debug', `--file=${file}`], {}))
  })

const silent = (): void => undefined

export async function nodemailer({ port, implicit, user, secret, mechanism, tls, message }: Sending): Promise<Outcome> {
  const said: string[] = []
  const hear = (_entry: unknown, ...words: readonly unknown[]): void => void said.push(format(...words))
  const transport = createTransport({
    host: HOST,
    port,
    secure: implicit,
    requireTLS: !implicit,
    tls: { ca: readFileSync(tls), servername: TLS_NAME },
    ...(mechanism === 'XOAUTH2'
      ? { auth: { type: 'OAuth2', user, accessToken: secret } }
      : { auth: { user, pass: secret }, authMethod: mechanism }),
    logger: { level: silent, trace: silent, debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
    debug: true,
  })
  try {
    await transport.sendMail({ envelope: { from: FROM, to: [TO] }, raw: message })
    return { ok: true, code: undefined, transcript: said.join('\n') }
  } catch (error) {
    return { ok: false, code: undefined, transcript: [...said, String(error)].join('\n') }
  } finally {
    transport.close()
  }
}

const PYTHON_SMTP = `
import smtplib, ssl, sys
port, user, secret, mechanism, ca, sender, to = sys.argv[1:]
client = smtplib.SMTP('localhost', int(port), timeout=20)
client.starttls(context=ssl.create_default_context(cafile=ca))
client.ehlo()
client.user, client.password = user, secret
client.auth(mechanism, getattr(client, 'auth_' + mechanism.lower().replace('-', '_')))
client.sendmail(sender, [to], sys.stdin.buffer.read())
client.quit()
`

export const smtplib = ({ port, user, secret, mechanism, tls, message }: Sending): Promise<Outcome> =>
  outcome(['python3', '-c', PYTHON_SMTP, `${port}`, user, secret, mechanism, tls, FROM, TO], {
    input: message.replaceAll('\n', '\r\n'),
  })

const PYTHON_POP3 = `
import poplib, ssl, sys
port, user, secret, ca = sys.argv[1:]
client = poplib.POP3_SSL('localhost', int(port), context=ssl.create_default_context(cafile=ca), timeout=20)
client.apop(user, secret)
client.stat()
client.quit()
`

export const poplib = ({ port, user, secret, tls }: Login): Promise<Outcome> =>
  outcome(['python3', '-c', PYTHON_POP3, `${port}`, user, secret, tls], {})

export function snail({ port, implicit, user, secret, mechanism, tls, message, client }: Sending): Promise<Outcome> {
  const [, subject = ''] = /^Subject: (.*)$/m.exec(message) ?? []
  const who = `${encodeURIComponent(user)}${secret === '' ? '' : `:${encodeURIComponent(secret)}`}`
  const variables = {
    'v15-compat': 'yes',
    mta: `smtp${implicit ? 's' : ''}://${who}@${TLS_NAME}:${port}`,
    // What it calls OAUTHBEARER is XOAUTH2.
    'smtp-auth': mechanism === 'XOAUTH2' ? 'oauthbearer' : mechanism.toLowerCase(),
    'tls-ca-file': tls,
    'tls-ca-no-defaults': 'yes',
    'tls-verify': 'strict',
    from: FROM,
    hostname: 'client.example',
    ...(implicit ? {} : { 'smtp-use-starttls': 'yes' }),
    ...(client === undefined
      ? {}
      : { 'tls-config-pairs': `Certificate=${client.certificate},PrivateKey=${client.key}` }),
  }
  const options = Object.entries(variables).flatMap(([name, value]) => ['-S', `${name}=${value}`])
  return outcome(
    [
      's-nail',
      '-:/',
      '-v',
      '-Sexpandaddr',
      '-Ssendwait',
      '-Snosave',
      '-SDEAD=/dev/null',
      ...options,
      '-s',
      subject,
      TO,
    ],
    {
      input: 'Hello.\n',
      env: { HOME: '/nonexistent' },
    },
  )
}

/** 0 with mail, 1 without. */
export const fetchmail = ({ port, user, secret, mechanism, tls }: Login): Promise<Outcome> =>
  withFolder(async (folder) => {
    const file = join(folder, 'fetchmailrc')
    const how = mechanism === 'APOP' ? 'protocol APOP' : 'protocol POP3'
    writeFileSync(
      file,
      `set invisible
poll ${TLS_NAME} ${how} service ${port}
  user "${user}" password '${secret}' ssl sslproto "TLS1.2+" sslcertck sslcertfile "${tls}"
  ${mechanism === 'APOP' ? '' : `auth ${mechanism.toLowerCase()}`} keep fetchall no rewrite mda "cat >/dev/null"
`,
      { mode: 0o600 },
    )
    const argv = ['fetchmail', '-v', '-f', file, '--pidfile', join(folder, 'pid'), '--idfile', join(folder, 'ids')]
    const done = await outcome(argv, { env: { HOME: folder } })
    return { ...done, ok: done.code === 0 || done.code === 1 }
  })
