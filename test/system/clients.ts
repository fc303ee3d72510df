// Real mail clients, each run once: what it said and how it ended.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import { createTransport } from 'nodemailer'
import { type RunOptions, run } from './run.ts'

export interface Submission {
  readonly port: number
  readonly from: string
  readonly to: readonly string[]
  /** Complete, latin1, lines ending in LF; a client makes CR LF of them. */
  readonly message: string
  /** Without it the client does not authenticate. */
  readonly login?: { readonly user: string; readonly password: string; readonly mechanism?: 'PLAIN' | 'LOGIN' }
  /** STARTTLS; the file is the certificate to trust. Without it there is no TLS even if offered. */
  readonly tls?: string
  /** With `tls`: from the first octet. */
  readonly implicit?: boolean
  readonly timeout?: number
}

export interface Outcome {
  readonly ok: boolean
  /** The client's exit code; undefined for a killed one, and for nodemailer, which has none. */
  readonly code: number | undefined
  readonly transcript: string
}

export const HOST = '127.0.0.1'
/** Which name the certificates of the tests are made out to. */
export const TLS_NAME = 'localhost'

export async function outcome(argv: readonly string[], options: RunOptions): Promise<Outcome> {
  const { code, transcript } = await run(argv, options)
  return { ok: code === 0, code, transcript }
}

export const limits = ({ timeout }: { readonly timeout?: number }): RunOptions =>
  timeout === undefined ? {} : { timeout }

/** A message whose subject can be looked for. */
export function messageFrom(from: string, subject: string, body = 'Hello.\n'): string {
  return `From: <${from}>\nTo: <friend@example.org>\nSubject: ${subject}\nMessage-Id: <${subject.replaceAll(' ', '.')}@example.org>\nDate: Sun, 1 Nov 2026 12:00:00 +0000\n\n${body}`
}

/** swaks exits 0 only if the whole dialogue went as it should; 28 is a refused login. */
export function swaks(job: Submission): Promise<Outcome> {
  const { login, tls } = job
  return outcome(
    [
      'swaks',
      '--server',
      HOST,
      '--port',
      `${job.port}`,
      '--helo',
      'client.example',
      '--from',
      job.from,
      '--to',
      job.to.join(','),
      '--data',
      '-',
      ...(login === undefined
        ? []
        : ['--auth', login.mechanism ?? 'PLAIN', '--auth-user', login.user, '--auth-password', login.password]),
      ...(tls === undefined ? [] : [job.implicit ? '--tlsc' : '--tls', '--tls-verify', '--tls-ca-path', tls]),
    ],
    // It adds CR LF and the dot to what it reads.
    { input: job.message.replace(/\n$/, ''), ...limits(job) },
  )
}

/** 67 is a refused login. */
export function curlSmtp(job: Submission): Promise<Outcome> {
  const { login, tls } = job
  return outcome(
    [
      'curl',
      '-v',
      '--silent',
      '--show-error',
      '--crlf',
      '--upload-file',
      '-',
      ...(tls === undefined ? [] : ['--ssl-reqd', '--cacert', tls, '--connect-to', `${TLS_NAME}::${HOST}:`]),
      '--url',
      `smtp${job.implicit ? 's' : ''}://${tls === undefined ? HOST : TLS_NAME}:${job.port}/client.example`,
      '--mail-from',
      job.from,
      ...job.to.flatMap((to) => ['--mail-rcpt', to]),
      ...(login === undefined ? [] : ['--user', `${login.user}:${login.password}`]),
      ...(login?.mechanism === undefined ? [] : ['--login-options', `AUTH=${login.mechanism}`]),
    ],
    { input: job.message, ...limits(job) },
  )
}

export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-client-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const tlsLines = ({ tls, implicit = false }: { tls?: string; implicit?: boolean }): readonly string[] =>
  tls === undefined
    ? ['tls off']
    : ['tls on', `tls_starttls ${implicit ? 'off' : 'on'}`, `tls_trust_file ${tls}`, `tls_host_override ${TLS_NAME}`]

/** msmtp and mpop remove the outer quotes and leave what is between them as it is. */
const word = (text: string): string => `"${text}"`

/** 77 is a refused login, 75 a temporary failure, 65 a refused message (sysexits). */
export function msmtp(job: Submission): Promise<Outcome> {
  const { login } = job
  return withFolder((folder) => {
    const file = join(folder, 'msmtprc')
    const lines = [
      'account default',
      `host ${HOST}`,
      `port ${job.port}`,
      `from ${job.from}`,
      ...tlsLines(job),
      ...(login === undefined
        ? ['auth off']
        : [
            `auth ${(login.mechanism ?? 'PLAIN').toLowerCase()}`,
            `user ${word(login.user)}`,
            `password ${word(login.password)}`,
          ]),
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    return outcome(['msmtp', '--debug', `--file=${file}`, '--', ...job.to], { input: job.message, ...limits(job) })
  })
}

const silent = (): void => undefined

export async function nodemailer(job: Submission): Promise<Outcome> {
  const { login, tls } = job
  const said: string[] = []
  const hear = (_entry: unknown, ...words: readonly unknown[]): void => void said.push(format(...words))
  const transport = createTransport({
    host: HOST,
    port: job.port,
    name: 'client.example',
    secure: job.implicit ?? false,
    ...(tls === undefined
      ? { ignoreTLS: true }
      : { requireTLS: !job.implicit, tls: { ca: readFileSync(tls), servername: TLS_NAME } }),
    ...(login === undefined
      ? {}
      : {
          auth: { user: login.user, pass: login.password },
          ...(login.mechanism === undefined ? {} : { authMethod: login.mechanism }),
        }),
    connectionTimeout: job.timeout ?? 30_000,
    logger: { level: silent, trace: silent, debug: hear, info: hear, warn: hear, error: hear, fatal: hear },
    debug: true,
  })
  try {
    await transport.sendMail({ envelope: { from: job.from, to: [...job.to] }, raw: Buffer.from(job.message, 'latin1') })
    return { ok: true, code: undefined, transcript: said.join('\n') }
  } catch (error) {
    return { ok: false, code: undefined, transcript: [...said, String(error)].join('\n') }
  } finally {
    transport.close()
  }
}

export const SMTP_CLIENTS = { swaks, curl: curlSmtp, msmtp, nodemailer } as const satisfies Record<
  string,
  (job: Submission) => Promise<Outcome>
>

export interface Fetching {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly tls?: string
  readonly implicit?: boolean
  readonly timeout?: number
}
export interface Fetched extends Outcome {
  /** Latin1, LF. */
  readonly messages: readonly string[]
}

/** Message `number`, or the list of sizes if it is 0. */
export async function curlPop3(job: Fetching & { readonly number: number }): Promise<Fetched> {
  const { tls } = job
  const { code, transcript, stdout } = await run(
    [
      'curl',
      '-v',
      '--silent',
      '--show-error',
      ...(tls === undefined ? [] : ['--ssl-reqd', '--cacert', tls, '--connect-to', `${TLS_NAME}::${HOST}:`]),
      '--url',
      `pop3${job.implicit ? 's' : ''}://${tls === undefined ? HOST : TLS_NAME}:${job.port}/${job.number === 0 ? '' : job.number}`,
      '--user',
      `${job.user}:${job.password}`,
    ],
    limits(job),
  )
  return { ok: code === 0, code, transcript, messages: code === 0 ? [stdout.replaceAll('\r\n', '\n')] : [] }
}

/** Everything in the mailbox, which keeps it. */
export function mpop(job: Fetching & { readonly mechanism?: 'USER' | 'PLAIN' | 'LOGIN' | 'APOP' }): Promise<Fetched> {
  return withFolder(async (folder) => {
    const [file, maildir] = [join(folder, 'mpoprc'), join(folder, 'Maildir')]
    for (const name of ['', 'tmp', 'new', 'cur']) mkdirSync(join(maildir, name))
    const lines = [
      'account default',
      `host ${HOST}`,
      `port ${job.port}`,
      ...tlsLines(job),
      `auth ${(job.mechanism ?? 'USER').toLowerCase()}`,
      `user ${word(job.user)}`,
      `password ${word(job.password)}`,
      `delivery maildir ${maildir}`,
      `uidls_file ${join(folder, 'uidls')}`,
      'received_header off',
      'keep on',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    const done = await outcome(['mpop', '--debug', `--file=${file}`], limits(job))
    const received = readdirSync(join(maildir, 'new')).toSorted()
    return { ...done, messages: received.map((name) => readFileSync(join(maildir, 'new', name), 'latin1')) }
  })
}
