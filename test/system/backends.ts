// The real mail programs that serve after a login: how each is run on stdin and stdout by an ordinary user, what it needs for
// that, and where to look for what it took.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Claim, PROGRAMS, UNPACKED } from './machine.ts'
import { blockAfter } from './recipes.ts'
import { quoted, run } from './run.ts'
import type { TestUser } from './users.ts'

/** One complete message in a backend's queue. */
export interface Delivered {
  /** Under whose uid the backend says, or the kernel, that it was submitted. */
  readonly uid: number
  readonly sender: string
  readonly recipients: readonly string[]
  /** Latin1, lines ending in LF, beginning with the Received line that the backend added. */
  readonly content: string
}

export interface SmtpBackend {
  readonly name: SmtpBackendName
  /** No word of it holds white space, which a chains file could not say. */
  readonly argv: readonly string[]
  readonly greeting: RegExp
  /** What it says to a message that it took. */
  readonly queued: RegExp
  /** The name of the process that serves, as ps shows it. */
  readonly comm: string
  /** The effective uid that ps shows for it. */
  readonly runsAs: (user: TestUser) => number
  /** It tells a message cut short by the end of its input from a complete one, and drops it. */
  readonly dropsHalves: boolean
  readonly prepare: () => Promise<void>
  readonly delivered: (user: TestUser) => Promise<readonly Delivered[]>
  readonly clean: () => Promise<void>
}
export const SMTP_BACKENDS = ['postfix', 'exim', 'msmtpd', 'embedded'] as const
export type SmtpBackendName = (typeof SMTP_BACKENDS)[number]

/** A POP3 server that is given an authenticated user and greets with the +OK that the client takes for PASS's. */
export interface Pop3Backend {
  readonly name: Pop3BackendName
  /** As for SMTP. */
  readonly argv: readonly string[]
  readonly greeting: RegExp
  /** The name of the process, as ps shows it: 15 characters at most. */
  readonly comm: string
  /** What it puts after each message, as qmail-pop3d does. */
  readonly tail: string
  readonly prepare: () => Promise<void>
  readonly clean: () => Promise<void>
}
export const POP3_BACKENDS = ['dovecot', 'mailfront', 'embedded-pop3'] as const
export type Pop3BackendName = (typeof POP3_BACKENDS)[number]

const nothing = async (): Promise<void> => undefined

/**
 * `sendmail -bs` is postfix's smtpd as the user; it hands each message to the setgid postdrop, which leaves it in maildrop/, owned
 * by the user and executable once it is complete. Postfix itself is not started: it would take the messages away.
 */
function postfix(): SmtpBackend {
  const queue = '/var/spool/postfix/maildrop'
  const clean = async (): Promise<void> => {
    for (const name of readdirSync(queue)) rmSync(join(queue, name))
  }
  return {
    name: 'postfix',
    argv: ['/usr/sbin/sendmail', '-bs'],
    greeting: /^220 \S+ ESMTP Postfix/,
    comm: 'smtpd',
    runsAs: (user) => user.uid,
    queued: /^250 2\.0\.0 Ok: queued as \S+/m,
    dropsHalves: true,
    prepare: async () => {
      const running = await run(['postfix', 'status'])
      if (running.code === 0) throw new Error('postfix is running; stop it, for it would take the queued messages away')
      await clean()
    },
    delivered: async (user) => {
      const complete = readdirSync(queue)
        .map((name) => join(queue, name))
        .filter((file) => {
          // A postdrop that has just begun, or given up, removes its file.
          const { uid, mode = 0 } = statSync(file, { throwIfNoEntry: false }) ?? {}
          return uid === user.uid && (mode & 0o100) !== 0
        })
      const messages: Delivered[] = []
      for (const file of complete) {
        const { stdout } = await run(['postcat', file])
        const [envelope = '', content = ''] =
          /\*\*\* ENVELOPE RECORDS .*?\n(.*?)^\*\*\* MESSAGE CONTENTS .*?\n(.*)^\*\*\* HEADER EXTRACTED /ms
            .exec(stdout)
            ?.slice(1) ?? []
        messages.push({
          uid: statSync(file).uid,
          sender: /^sender: (.*)$/m.exec(envelope)?.[1] ?? '',
          recipients: [...envelope.matchAll(/^recipient: (.*)$/gm)].map((found) => found[1] ?? ''),
          content,
        })
      }
      return messages
    },
    clean,
  }
}

/**
 * exim is setuid root and becomes its own account immediately; the -H file of each message in its spool notes who called it. For callers other
 * than root and its own account it believes the compiled-in configuration path only, so ours is there while the tests run.
 */
function exim(): SmtpBackend {
  const program = join(UNPACKED, 'usr/sbin/exim4')
  const configuration = '/etc/exim4/exim4.conf'
  const spool = '/var/spool/acceptd-test-exim'
  const mark = '# acceptd system tests'
  return {
    name: 'exim',
    argv: [program, '-bs'],
    greeting: /^220 exim\.acceptd\.test ESMTP Exim/,
    comm: 'exim4',
    runsAs: () => Number(execFileSync('id', ['-u', 'Debian-exim'], { encoding: 'utf8' })),
    queued: /^250 OK id=\S+/m,
    dropsHalves: true,
    prepare: async () => {
      if (existsSync(configuration) && !readFileSync(configuration, 'latin1').startsWith(mark))
        throw new Error(`${configuration} is somebody's; the tests of exim need that path`)
      rmSync(spool, { recursive: true, force: true })
      mkdirSync(spool, { mode: 0o750 })
      await run(['chown', 'Debian-exim:Debian-exim', spool])
      mkdirSync(dirname(configuration), { recursive: true })
      writeFileSync(
        configuration,
        [
          mark,
          'primary_hostname = exim.acceptd.test',
          `exim_path = ${program}`,
          `spool_directory = ${spool}`,
          `log_file_path = ${spool}/%slog`,
          'queue_only',
          'keep_environment =',
          // Otherwise an ordinary caller's MAIL FROM is replaced by his login name.
          'untrusted_set_sender = *',
          'no_local_from_check',
          'acl_smtp_rcpt = accept',
          '',
        ].join('\n'),
        { mode: 0o644 },
      )
    },
    delivered: async (user) => {
      const input = join(spool, 'input')
      if (!existsSync(input)) return []
      return readdirSync(input)
        .filter((name) => name.endsWith('-H'))
        .flatMap((name) => {
          const [, login = '', sender = '', ...rest] = readFileSync(join(input, name), 'latin1').split('\n')
          if (login !== `${user.name} ${user.uid} ${user.gid}`) return []
          // ... XX, the number of recipients, the recipients, an empty line, headers as `LENGTH FLAG TEXT`
          const recipients = rest.slice(rest.indexOf('XX') + 2, rest.indexOf(''))
          const headers = headersOf(rest.slice(rest.indexOf('') + 1).join('\n'))
          const data = readFileSync(join(input, name.replace(/-H$/, '-D')), 'latin1')
          const body = data.slice(data.indexOf('\n') + 1)
          return [{ uid: user.uid, sender: sender.slice(1, -1), recipients, content: `${headers}\n${body}` }]
        })
    },
    clean: async () => {
      rmSync(spool, { recursive: true, force: true })
      rmSync(configuration, { force: true })
    },
  }
}

function headersOf(spooled: string): string {
  let [at, headers] = [0, '']
  for (;;) {
    // 025F From: ... : the flag * marks one that was deleted
    const [lead, length, flag] = /^(\d{3,})(.) /.exec(spooled.slice(at)) ?? []
    if (lead === undefined) return headers
    const end = at + lead.length + Number(length)
    if (flag !== '*') headers += spooled.slice(at + lead.length, end)
    at = end
  }
}

/**
 * msmtpd pipes each message into a command, with sender and recipients as arguments: here a script that files it in the user's
 * Maildir and the envelope beside it. If its input ends within DATA, the command has received a message cut short and cannot know.
 */
function msmtpd(dir: string): SmtpBackend {
  const [script, start] = [join(dir, 'file-message'), join(dir, 'msmtpd')]
  return {
    name: 'msmtpd',
    argv: [start],
    greeting: /^220 localhost ESMTP msmtpd/,
    comm: 'msmtpd',
    runsAs: (user) => user.uid,
    queued: /^250 Ok, mail was piped/m,
    dropsHalves: false,
    prepare: async () => {
      writeFileSync(
        script,
        `#!/bin/sh
# SENDER RECIPIENT ...: files the message on stdin
set -eu
umask 077
cd
mkdir -p envelopes Maildir Maildir/tmp Maildir/new Maildir/cur
name=$(date +%s.%N).$$.acceptd
{ id -u; for address; do echo "$address"; done; } >"envelopes/$name"
cat >"Maildir/tmp/$name"
mv "Maildir/tmp/$name" "Maildir/new/$name"
`,
      )
      const command = quoted(`--command=${script} %F`)
      writeFileSync(start, `#!/bin/sh\nexec ${quoted(join(UNPACKED, 'usr/bin/msmtpd'))} --inetd ${command}\n`)
      chmodSync(script, 0o755)
      chmodSync(start, 0o755)
    },
    delivered: async (user) =>
      inMaildir(user).flatMap(({ name, uid, content }) => {
        const envelope = join(user.home, 'envelopes', name)
        if (!existsSync(envelope)) return []
        const [runner = '', sender = '', ...recipients] = readFileSync(envelope, 'latin1').trimEnd().split('\n')
        return Number(runner) === uid ? [{ uid, sender, recipients, content }] : []
      }),
    clean: async () => {
      rmSync(script, { force: true })
      rmSync(start, { force: true })
    },
  }
}

/** What is in a user's ~/Maildir, read or not; uid is the owner of the file. */
export function inMaildir(user: TestUser): readonly { name: string; uid: number; content: string }[] {
  return ['new', 'cur'].flatMap((folder) => {
    const path = join(user.home, 'Maildir', folder)
    if (!existsSync(path)) return []
    return readdirSync(path).map((file) => ({
      name: file.replace(/:.*$/, ''),
      uid: statSync(join(path, file)).uid,
      content: readFileSync(join(path, file), 'latin1'),
    }))
  })
}

/** Gives a user a Maildir with these messages, in this order. */
export async function fillMaildir(user: TestUser, contents: readonly string[]): Promise<void> {
  const maildir = join(user.home, 'Maildir')
  rmSync(maildir, { recursive: true, force: true })
  for (const folder of ['', 'tmp', 'new', 'cur']) mkdirSync(join(maildir, folder), { mode: 0o700 })
  for (const [index, content] of contents.entries())
    writeFileSync(join(maildir, 'new', `${1_700_000_000 + index}.${index}.acceptd`), Buffer.from(content, 'latin1'))
  await run(['chown', '-R', `${user.uid}:${user.gid}`, maildir])
}

/**
 * dovecot's pop3 without its master serves the user of $USER on stdin and stdout. On its own it says nothing at first, because its
 * login process has already answered PASS: a script says it. It logs to stderr.
 */
function dovecot(dir: string): Pop3Backend {
  const [script, configuration] = [join(dir, 'dovecot-pop3'), join(dir, 'dovecot.conf')]
  return {
    name: 'dovecot',
    argv: [script],
    greeting: /^\+OK Logged in\.\r\n/,
    comm: 'pop3',
    tail: '',
    prepare: async () => {
      writeFileSync(configuration, blockAfter('dovecot-pop3.md', /^For Dovecot 2\.3, /))
      writeFileSync(
        script,
        `#!/bin/sh\nprintf '+OK Logged in.\\r\\n'\nexec /usr/lib/dovecot/pop3 -c ${quoted(configuration)}\n`,
      )
      chmodSync(script, 0o755)
      chmodSync(configuration, 0o644)
    },
    clean: async () => {
      rmSync(script, { force: true })
      rmSync(configuration, { force: true })
    },
  }
}

/** Made for exactly this purpose: it takes qmail-pop3d's argument and greets like it. */
function mailfront(): Pop3Backend {
  return {
    name: 'mailfront',
    argv: ['/usr/sbin/pop3front-maildir', 'Maildir'],
    greeting: /^\+OK \r\n/,
    comm: 'pop3front-maild',
    tail: '\n',
    prepare: nothing,
    clean: nothing,
  }
}

/** Our own, of `npm start`: it files in the user's Maildir and serves that. A copy, since not everybody may enter the clone. */
function embeddedSmtp(dir: string): SmtpBackend {
  const program = join(dir, 'acceptd-maildir')
  return {
    name: 'embedded',
    argv: [program, 'smtp'],
    greeting: /^220 \S+ ESMTP/,
    comm: 'acceptd-maildir',
    runsAs: (user) => user.uid,
    queued: /^250 2\.0\.0 filed as \S+/m,
    dropsHalves: true,
    prepare: async () => copyFileSync(join(PROGRAMS, 'acceptd-maildir'), program),
    delivered: async (user) =>
      inMaildir(user).flatMap(({ uid, content }) => {
        const sender = /^Return-Path: <(.*)>$/m.exec(content)?.[1]
        const recipients = [...content.matchAll(/^Envelope-To: (.*)$/gm)].map((found) => found[1] ?? '')
        return sender === undefined ? [] : [{ uid, sender, recipients, content }]
      }),
    clean: nothing,
  }
}

function embeddedPop3(dir: string): Pop3Backend {
  const program = join(dir, 'acceptd-maildir')
  return {
    name: 'embedded-pop3',
    argv: [program, 'pop3'],
    greeting: /^\+OK[^\r]*\r\n/,
    comm: 'acceptd-maildir',
    tail: '',
    prepare: async () => copyFileSync(join(PROGRAMS, 'acceptd-maildir'), program),
    clean: nothing,
  }
}

/** Scripts and configurations go into the claimed directory. */
export function smtpBackend(name: SmtpBackendName, { dir }: Pick<Claim, 'dir'>): SmtpBackend {
  return { postfix, exim, msmtpd: () => msmtpd(dir), embedded: () => embeddedSmtp(dir) }[name]()
}

export function pop3Backend(name: Pop3BackendName, { dir }: Pick<Claim, 'dir'>): Pop3Backend {
  return { dovecot: () => dovecot(dir), mailfront, 'embedded-pop3': () => embeddedPop3(dir) }[name]()
}
