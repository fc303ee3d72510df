// Clients that are here for their TLS: s-nail, mutt, fetchmail, Python's, Go's, and openssl s_client with a conversation written out.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  curlPop3,
  curlSmtp,
  type Fetched,
  type Fetching,
  HOST,
  limits,
  mpop,
  msmtp,
  nodemailer,
  type Outcome,
  outcome,
  type Submission,
  swaks,
  TLS_NAME,
  withFolder,
} from './clients.ts'
import { plain } from './conversation.ts'
import { must, run } from './run.ts'

type WithTls<T> = T & { readonly tls: string }
type Login = NonNullable<Submission['login']>
type TlsSubmission = WithTls<Submission> & { readonly login: Login }

const PYTHON_SMTP = `
import smtplib, ssl, sys
port, user, password, ca, implicit, sender, *to = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
if implicit == 'true':
    client = smtplib.SMTP_SSL('localhost', int(port), context=trust, timeout=20)
else:
    client = smtplib.SMTP('localhost', int(port), timeout=20)
    client.starttls(context=trust)
client.login(user, password)
client.sendmail(sender, to, sys.stdin.buffer.read())
client.quit()
`

export const smtplib = (job: TlsSubmission): Promise<Outcome> => {
  const { port, login, tls, implicit = false, from, to, message } = job
  return outcome(
    ['python3', '-c', PYTHON_SMTP, `${port}`, login.user, login.password, tls, `${implicit}`, from, ...to],
    { input: message.replaceAll('\n', '\r\n'), ...limits(job) },
  )
}

/** It makes the header itself; the job gives the subject and the body. */
export function snail(job: TlsSubmission): Promise<Outcome> {
  const { port, login, tls, implicit = false, from, to, message } = job
  const [, subject = ''] = /^Subject: (.*)$/m.exec(message) ?? []
  const body = message.slice(message.indexOf('\n\n') + 2)
  const who = `${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}`
  const variables = {
    'v15-compat': 'yes',
    mta: `smtp${implicit ? 's' : ''}://${who}@${TLS_NAME}:${port}`,
    'smtp-auth': 'plain',
    'tls-ca-file': tls,
    'tls-ca-no-defaults': 'yes',
    'tls-verify': 'strict',
    from,
    hostname: 'client.example',
    ...(implicit ? {} : { 'smtp-use-starttls': 'yes' }),
  }
  const options = Object.entries(variables).flatMap(([name, value]) => ['-S', `${name}=${value}`])
  return outcome(['s-nail', '-:/', '-v', '-Sexpandaddr', '-Ssendwait', ...options, '-s', subject, ...to], {
    input: body,
    env: { HOME: '/nonexistent' },
    ...limits(job),
  })
}

/** Like s-nail, it makes the header itself. */
export function mutt(job: TlsSubmission): Promise<Outcome> {
  const { port, login, tls, implicit = false, from, to, message } = job
  const [, subject = ''] = /^Subject: (.*)$/m.exec(message) ?? []
  const body = message.slice(message.indexOf('\n\n') + 2)
  return withFolder((folder) => {
    const file = join(folder, 'muttrc')
    const variables = {
      smtp_url: `smtp${implicit ? 's' : ''}://${login.user}@${TLS_NAME}:${port}`,
      smtp_pass: login.password,
      smtp_authenticators: 'plain',
      ssl_ca_certificates_file: tls,
      certificate_file: join(folder, 'certificates'),
      from,
      hostname: 'client.example',
      copy: 'no',
      ssl_force_tls: 'yes',
      ssl_verify_host: 'yes',
      use_envelope_from: 'yes',
    }
    const lines = Object.entries(variables).map(([name, value]) => `set ${name}='${value}'\n`)
    writeFileSync(file, lines.join(''), { mode: 0o600 })
    return outcome(['mutt', '-n', '-F', file, '-s', subject, '--', ...to], {
      input: body,
      env: { HOME: folder, TERM: 'dumb' },
      ...limits(job),
    })
  })
}

/** Upgrades, then sends each line with CR LF, and waits for the server's end. */
export const startTlsClient = (port: number, authority: string, protocol: string, lines: readonly string[]) =>
  run(
    `openssl s_client -starttls ${protocol} -connect ${HOST}:${port} -CAfile ${authority} -verify_return_error -crlf -quiet -ign_eof`.split(
      ' ',
    ),
    { input: lines.map((line) => `${line}\n`).join('') },
  )

/** `lines` in one write; the server closes. */
const sClient = (port: number, tls: string, starttls: string | undefined, lines: readonly string[]) =>
  run(
    [
      'openssl',
      's_client',
      '-connect',
      `${HOST}:${port}`,
      ...(starttls === undefined ? [] : ['-starttls', starttls, '-name', 'client.example']),
      '-CAfile',
      tls,
      '-verify_return_error',
      '-verify_hostname',
      TLS_NAME,
      '-quiet',
    ],
    { input: lines.map((line) => `${line}\r\n`).join('') },
  )

export async function opensslSmtp(job: TlsSubmission): Promise<Outcome> {
  const { port, login, tls, implicit, from, to, message } = job
  const { code, transcript } = await sClient(port, tls, implicit ? undefined : 'smtp', [
    'EHLO client.example',
    `AUTH PLAIN ${plain(login.user, login.password)}`,
    `MAIL FROM:<${from}>`,
    ...to.map((one) => `RCPT TO:<${one}>`),
    'DATA',
    ...message.trimEnd().split('\n'),
    '.',
    'QUIT',
  ])
  return { ok: code === 0 && /^221 /m.test(transcript) && /^235 /m.test(transcript), code, transcript }
}

const PYTHON_POP3 = `
import poplib, ssl, sys
port, user, password, ca, implicit = sys.argv[1:]
trust = ssl.create_default_context(cafile=ca)
if implicit == 'true':
    client = poplib.POP3_SSL('localhost', int(port), context=trust, timeout=20)
else:
    client = poplib.POP3('localhost', int(port), timeout=20)
    client.stls(context=trust)
client.user(user)
client.pass_(password)
for number in range(1, client.stat()[0] + 1):
    sys.stdout.buffer.write(b'\\n'.join(client.retr(number)[1]) + b'\\n\\x00')
client.quit()
`

export async function poplib(job: WithTls<Fetching>): Promise<Fetched> {
  const { port, user, password, tls, implicit = false } = job
  const argv = ['python3', '-c', PYTHON_POP3, `${port}`, user, password, tls, `${implicit}`]
  const { code, stdout, transcript } = await run(argv, limits(job))
  return { ok: code === 0, code, transcript, messages: stdout.split('\0').slice(0, -1) }
}

/** What it prints is the conversation. */
export async function opensslPop3(job: WithTls<Fetching>): Promise<Fetched> {
  const { port, user, password, tls, implicit } = job
  const login = [`USER ${user}`, `PASS ${password}`]
  const { code, stdout, transcript } = await sClient(port, tls, implicit ? undefined : 'pop3', [
    ...login,
    'RETR 1',
    'QUIT',
  ])
  const [, message] =
    /^\+OK[^\n]*\n(.*)\r\n\.\r\n\+OK/ms.exec(stdout.slice(stdout.lastIndexOf('+OK', stdout.indexOf('Subject:')))) ?? []
  return {
    ok: code === 0 && message !== undefined,
    code,
    transcript,
    messages: [`${(message ?? '').replaceAll('\r', '')}\n`],
  }
}

/** 0 with mail, 1 without. More than one message would come as one text. */
export function fetchmail(job: WithTls<Fetching>): Promise<Fetched> {
  const { port, user, password, tls, implicit = false } = job
  return withFolder(async (folder) => {
    const [file, mail] = [join(folder, 'fetchmailrc'), join(folder, 'mail')]
    writeFileSync(mail, '')
    writeFileSync(
      file,
      `set invisible
poll ${TLS_NAME} protocol POP3 service ${port}
  user "${user}" password '${password}'
  ${implicit ? 'ssl sslproto "TLS1.2+"' : 'sslproto "TLS1.2+"'} sslcertck sslcertfile "${tls}"
  keep fetchall no rewrite mda "cat >>${mail}"
`,
      { mode: 0o600 },
    )
    const argv = ['fetchmail', '-v', '-f', file, '--pidfile', join(folder, 'pid'), '--idfile', join(folder, 'ids')]
    const done = await outcome(argv, { env: { HOME: folder }, ...limits(job) })
    const text = readFileSync(mail, 'latin1')
    return { ...done, messages: text === '' ? [] : [text] }
  })
}

const GO_SMTP = `package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/smtp"
	"os"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	address, user, password, ca, implicit, sender := "localhost:"+os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	pem, err := os.ReadFile(ca)
	must(err)
	config := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	var client *smtp.Client
	if implicit == "true" {
		conn, err := tls.Dial("tcp", address, config)
		must(err)
		client, err = smtp.NewClient(conn, "localhost")
		must(err)
	} else {
		client, err = smtp.Dial(address)
		must(err)
		must(client.StartTLS(config))
	}
	must(client.Auth(smtp.PlainAuth("", user, password, "localhost")))
	must(client.Mail(sender))
	for _, to := range os.Args[7:] {
		must(client.Rcpt(to))
	}
	body, err := client.Data()
	must(err)
	_, err = io.Copy(body, os.Stdin)
	must(err)
	must(body.Close())
	must(client.Quit())
}
`

let goProgram: Promise<string> | undefined

/** Compiled by the first test that asks. */
async function compileGo(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-go-'))
  const [source, program] = [join(folder, 'client.go'), join(folder, 'client')]
  writeFileSync(source, GO_SMTP)
  await must(['go', 'build', '-o', program, source], {
    env: { GOCACHE: join(folder, 'cache'), GO111MODULE: 'off', HOME: folder },
    timeout: 300_000,
  })
  return program
}

/** net/smtp. */
export async function goSmtp(job: TlsSubmission): Promise<Outcome> {
  const { port, login, tls, implicit = false, from, to, message } = job
  goProgram ??= compileGo()
  const argv = [await goProgram, `${port}`, login.user, login.password, tls, `${implicit}`, from, ...to]
  return outcome(argv, { input: message.replaceAll('\n', '\r\n'), ...limits(job) })
}

/** As README.md lists them. */
export const SUBMITTING = {
  swaks,
  curl: curlSmtp,
  msmtp,
  nodemailer,
  "Python's smtplib": smtplib,
  "Go's net/smtp": goSmtp,
  's-nail': snail,
  mutt,
  'openssl s_client': opensslSmtp,
} as const satisfies Record<string, (job: TlsSubmission) => Promise<Outcome>>

export const FETCHING = {
  curl: (job: WithTls<Fetching>) => curlPop3({ ...job, number: 1 }),
  mpop,
  fetchmail,
  "Python's poplib": poplib,
  'openssl s_client': opensslPop3,
} as const satisfies Record<string, (job: WithTls<Fetching>) => Promise<Fetched>>
