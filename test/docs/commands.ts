// Every command of the documents, and who runs it. What is `typed` test/system/commands.test.ts types, in this order, on a host with systemd, the
// package and nothing else; a page of docs/recipes is typed whole by test/system/recipes.test.ts.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf } from '../support/markdown.ts'
import { pages, read, TOP } from './pages.ts'

export type Claim =
  | {
      /** Its exit code, or a list of those that are right. */
      readonly typed: number | readonly number[]
      readonly input?: string
      /** What a person has done beforehand, in sh. */
      readonly first?: string
      /** What it prints. */
      readonly says?: RegExp
    }
  /** A file of the clone that runs it, and the words there that do. */
  | { readonly test: string; readonly by: string }
  | { readonly cannot: string }

/** Blocks of sh that no test can type, by the word after `sh`, and what is missing for them. */
export const NEEDS: Readonly<Record<string, string>> = {
  'needs-engine':
    'a container engine; test/system/container.test.ts executes the Containerfile, and starts what it makes',
  'needs-public-ca':
    'a certificate authority that reaches this host; test/system/recipes.test.ts runs the hook on certificates of its own',
}

const PASSWORD = 'right %1+="x'
const POSTFIX_LIKE = `printf '#!/bin/sh\\nexec /usr/lib/acceptd/acceptd-maildir smtp\\n' >/usr/sbin/sendmail; chmod 755 /usr/sbin/sendmail`
const chain = { test: 'test/system/classic.test.ts', by: "'checknotroot'" } as const
const tlsChain = { test: 'test/system/classic-tls.test.ts', by: 'UCSPITLS' } as const
const bench = { cannot: 'takes minutes and measures the machine: bench/results is what it has written' } as const
const hour = { cannot: 'takes minutes: docs/reliability.md has what a run has written' } as const
const fleet = (by: string): Claim => ({ test: 'test/system/fleet-hosts.test.ts', by })
const daemontools = { test: 'test/system/running-beside.test.ts', by: "written.get('docs/running-beside.md')" } as const

export const COMMANDS: Readonly<Record<string, Readonly<Record<string, Claim>>>> = {
  'README.md': {
    'npm start': { test: '.ci/run', by: 'setsid npm start' },
    'npm test': { test: '.ci/run', by: 'node scripts/run.mjs test' },
    'npm run package': { test: 'test/system/systemd.test.ts', by: "'scripts/run.mjs', 'package'" },
    'apt-get install ./dist/acceptd_*.deb': { typed: 0, first: 'mkdir dist; cp /mnt/*.deb dist' },
    'systemd-sysusers acceptd.conf && systemd-tmpfiles --create acceptd.conf && systemctl daemon-reload': { typed: 0 },
    'acceptd --check': {
      typed: 0,
      first: `${POSTFIX_LIKE}
        useradd --create-home joe; echo 'joe:${PASSWORD}' | chpasswd
        mkdir -p /var/qmail/bin; printf '#!/bin/sh\\nexec /usr/lib/acceptd/acceptd-maildir pop3\\n' >/var/qmail/bin/qmail-pop3d
        chmod 755 /var/qmail/bin/qmail-pop3d`,
    },
    'systemctl start acceptd': { typed: 0 },
    "acceptctl session list --user 'ann*'": { typed: 3 },
    'acceptctl top': { test: 'test/rpc/acceptctl-top.test.ts', by: "'top'" },
    'acceptctl config reload --dry-run': { typed: 0 },
    'acceptctl config reload': { typed: 0 },
    "acceptctl rules eval ehlo --reply '250-AUTH PLAIN' --env AUTHUP_USER=ann": { typed: 0, says: /AUTHUP_USER:ehlo/ },
    'acceptctl --help': { typed: 0, says: /session/ },
  },
  'docs/rpc.md': {
    [`echo '{"jsonrpc":"2.0","id":1,"method":"server.ping"}' | socat -t5 - UNIX-CONNECT:/run/acceptd/control.sock`]: {
      typed: 0,
      says: /"pong":true/,
    },
    [`curl --unix-socket /run/acceptd/control.sock -d '{"jsonrpc":"2.0","id":1,"method":"server.ping"}' http://acceptd/`]:
      {
        typed: 0,
        says: /"pong":true/,
      },
    [`acceptctl rpc discover -o json | jq '.methods[].name |= sub("[.]"; "_")' >openrpc.json`]: { typed: 0 },
  },
  'docs/fleet.md': {
    'cd packaging/fleet && sh secrets.sh && docker compose up --build': {
      test: 'test/system/fleet-bed.ts',
      by: "'docker-compose.yml'",
    },
    "echo 'set server submission/acceptd1 state drain' | socat - UNIX-CONNECT:/run/haproxy/admin.sock":
      fleet("every('drain', host)"),
    "echo 'set server submission/acceptd1 state ready' | socat - UNIX-CONNECT:/run/haproxy/admin.sock":
      fleet("every('ready', host)"),
    'acceptctl session list': fleet("'session.list'"),
    'systemctl restart acceptd': fleet("daemon.stop('SIGTERM')"),
    'acceptctl config diff': fleet("'config.diff'"),
    'acceptctl config reload': fleet("'config.reload'"),
    'acceptctl rules list': fleet("'rules.list'"),
    'acceptctl config rollback': fleet("'config.rollback'"),
  },
  'docs/monitoring.md': {
    'acceptctl auth test watchman --password-fd 3 3</etc/acceptd-watchman': {
      typed: 0,
      first: `useradd --create-home watchman; echo 'watchman:${PASSWORD}' | chpasswd; printf '%s' '${PASSWORD}' >/etc/acceptd-watchman`,
    },
    'acceptctl log errors --since 5m --level error': { typed: 3 },
  },
  'docs/running-beside.md': {
    'cd /etc/acceptd && ln -sf /var/qmail/control/{me,smtpcapabilities,timeoutsmtpd,fixsmtpio} .': daemontools,
    'acceptd --check': daemontools,
    'acceptctl auth test joe': daemontools,
    'swaks --server localhost:1587 --auth PLAIN --auth-user joe --to joe@localhost': daemontools,
    "sed -i 's/:1587 /:587 /; s/:1110 /:110 /' /etc/acceptd/listeners": daemontools,
    'svc -d /service/submission /service/pop3': daemontools,
    'svc -t /service/acceptd': daemontools,
    'svc -d /service/acceptd': daemontools,
    'svc -u /service/submission /service/pop3': daemontools,
    'mkdir -p ~/.ofmipd && cd ~/.ofmipd': { typed: 0 },
    "echo 'joe@host.example:Joe Shmoe:joe@example.org:' | ofmipname rules.cdb rules.tmp": {
      cannot: 'ofmipname is of mess822, which Debian does not have',
    },
  },
  'docs/reliability.md': {
    'npm run fuzz -- --seconds 60': hour,
    'npm run soak -- --minutes 60': hour,
    'npm run test:faults -- --minutes 10': hour,
  },
  'bench/README.md': {
    'npm run bench -- --quick': bench,
    'npm run bench': bench,
    'npm run bench -- --full': bench,
    'npm run bench -- --list': bench,
    'npm run bench -- --table': bench,
    'npm run bench -- tls': bench,
    'npm run bench -- --help': bench,
  },
  'acceptctl.1': {
    'acceptctl config check': { typed: 0 },
    'acceptctl config diff': { typed: 0, first: 'echo 1300 >/etc/acceptd/timeoutsmtpd', says: /timeoutsmtpd/ },
    "acceptctl config reload --reason 'hide SIZE'": { typed: 0 },
    'acceptctl config history': { typed: 0, says: /hide SIZE/ },
    'acceptctl config rollback 1': { typed: 0 },
    "acceptctl user block joe --ttl 3600 --reason 'stolen password'": { typed: 0 },
    'acceptctl auth test joe <password-file': {
      typed: 0,
      first: `acceptctl user unblock joe; printf '%s' '${PASSWORD}' >password-file`,
    },
    [`echo '{"jsonrpc":"2.0","id":1,"method":"session.list"}' | socat - UNIX-CONNECT:/run/acceptd/control.sock`]: {
      typed: 0,
      says: /"sessions":\[\]/,
    },
    'curl --unix-socket /run/acceptd/control.sock http://acceptd/metrics': { typed: 0, says: /^acceptd_/m },
  },
  'acceptd-control.5': {
    'echo mail.example.org >me': {
      typed: 0,
      first: 'cp -R /usr/share/doc/acceptd/examples SOURCE; cp -R /etc/acceptd SOURCE/control',
    },
    'echo PIPELINING >smtpcapabilities': { typed: 0 },
    "echo '0.0.0.0:587 smtp submission' >listeners": { typed: 0 },
    "echo 'mail.example.org /etc/ssl/mail.pem /etc/ssl/private/mail.key' >tls": { typed: 0 },
    'cp SOURCE/control/fixsmtpio .': { typed: 0 },
    'cat >chains <<END': { typed: 0 },
    "cat >/etc/letsencrypt/renewal-hooks/deploy/acceptd <<'END'": {
      typed: 0,
      first: `mkdir -p /etc/letsencrypt/renewal-hooks/deploy /etc/letsencrypt/live/mail.example.org
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mail.example.org -keyout /etc/letsencrypt/live/mail.example.org/privkey.pem \
          -out /etc/letsencrypt/live/mail.example.org/fullchain.pem`,
    },
    'chmod +x /etc/letsencrypt/renewal-hooks/deploy/acceptd': { typed: 0 },
    'RENEWED_LINEAGE=/etc/letsencrypt/live/mail.example.org /etc/letsencrypt/renewal-hooks/deploy/acceptd': {
      typed: 0,
    },
    "echo 'mail.example.org /etc/acceptd/tls.d/mail.pem /etc/acceptd/tls.d/mail.key' >tls": { typed: 0 },
  },
  'acceptd.8': {
    'acceptd --check && acceptd': { test: 'test/system/daemon.ts', by: "join(place.programs, 'acceptd')" },
  },
  'authup.8': {
    'tcpserver 0 587 reup -t 5 authup smtp checkpassword checknotroot fixsmtpio ofmipd': chain,
    'tcpserver 0 587 authup -t 5 smtp checkpassword checknotroot fixsmtpio ofmipd': chain,
    'tcpserver 0 110 authup pop3 checkpassword checknotroot qmail-pop3d Maildir': chain,
    'sslserver -ne 0 587 env UCSPITLS=1 reup -t 5 authup smtp checkpassword checknotroot fixsmtpio ofmipd': tlsChain,
    'sslserver -n 0 25 env UCSPITLS= authup smtp checkpassword checknotroot fixsmtpio ofmipd -- setuidgid qmaild fixsmtpio qmail-smtpd':
      tlsChain,
  },
  'checkpassword.8': {
    "printf 'joe\\0secret\\0\\0' | checkpassword id 3<&0": {
      typed: 0,
      first: 'echo joe:secret | chpasswd; ln -s /usr/lib/acceptd/checkpassword /usr/bin/checkpassword',
      says: /\(joe\)/,
    },
  },
  'fixsmtpio.5': {
    "acceptctl rules eval greeting --env AUTHUP_USER=joe --reply '220 mx ESMTP'": {
      typed: 0,
      says: /235 ok, go ahead/,
    },
  },
  'fixsmtpio.8': {
    'tcpserver 0 587 reup -t 5 authup smtp checkpassword checknotroot fixsmtpio ofmipd': chain,
    'sslserver -n 0 25 env UCSPITLS= fixsmtpio qmail-smtpd': tlsChain,
  },
  'ofmipd-with-user-cdb.8': {
    'authup smtp checkpassword checknotroot fixsmtpio ofmipd-with-user-cdb': {
      test: 'test/classic/filters.test.ts',
      by: 'ofmipd-with-user-cdb',
    },
    'mkdir -p ~/.ofmipd && cd ~/.ofmipd': { typed: 0 },
    "echo 'joe@host.example:Joe Shmoe:joe@example.org:' | ofmipname rules.cdb rules.tmp": {
      cannot: 'ofmipname is of mess822, which Debian does not have',
    },
  },
  'qmail-qfilter-ofmipd-queue.8': {
    'echo /usr/local/bin/qmail-qfilter-pymsgauth >/var/qmail/control/ofmipfilters': {
      typed: 0,
      first: 'mkdir -p /var/qmail/control',
    },
  },
  'reup.8': {
    'tcpserver 0 587 reup -t 5 authup smtp checkpassword checknotroot fixsmtpio ofmipd': chain,
  },
}

/** A line that begins with one of these, after settings of variables, is a command wherever it stands. */
const PROGRAMS = new Set([
  ...Object.entries(
    (
      JSON.parse(read('scripts/programs.json')) as {
        programs: Readonly<Record<string, { aliases?: readonly string[] }>>
      }
    ).programs,
  ).flatMap(([name, { aliases = [] }]) => [name, ...aliases]),
  ...'apt-get awk cat cd chgrp chmod chown cp curl echo git install ln make mkdir mv node npm npx openssl printf rm sed sslserver'.split(
    ' ',
  ),
  ...'sudo svc swaks systemctl systemd-sysusers systemd-tmpfiles tcpserver useradd'.split(' '),
])

const firstWord = (line: string): string => line.replace(/^(?:[A-Z_]+=\S* +)+/, '').split(/\s/)[0] ?? ''

const isCommand = (line: string): boolean =>
  (PROGRAMS.has(firstWord(line)) || /^[A-Z_]+=\S* +\//.test(line)) &&
  // A synopsis, a line of a chains file, a picture.
  !/\[options\]|^ |[─│║═]|^checkpassword (?:builtin|\/)|^acceptd {2}/.test(line)

/** Commands of a block, each with its continued lines and documents, without remarks. `all`: every line is one. */
function commandsIn(content: string, all: boolean): readonly string[] {
  const lines = content.split('\n')
  const found: string[] = []
  while (lines.length > 0) {
    let line = lines.shift() ?? ''
    while (/ (?:\\|\|)$/.test(line) && lines.length > 0)
      line = `${line.replace(/ \\$/, '')} ${(lines.shift() ?? '').trimStart()}`
    if (!(all ? /\S/ : isCommand)) continue
    if (all ? !/^\s*[^\s#]/.test(line) : !isCommand(line)) continue
    const [, end] = /<<'?(\w+)'?/.exec(line) ?? []
    const document = end === undefined ? [] : lines.splice(0, lines.indexOf(end) + 1)
    const command = line
      .replace(/ +# .*$/, '')
      .replace(/ {2,}[A-Za-z].*$/, '')
      .trim()
    found.push([command, ...document].join('\n'))
  }
  return found
}

const DOCUMENTS = ['', 'bench/', 'control/', 'docs/', 'native/'].flatMap((folder) =>
  readdirSync(join(TOP, folder))
    .filter((name) => name.endsWith('.md') && name !== 'CHANGES.md')
    .map((name) => `${folder}${name}`),
)

const unescaped = (line: string): string => line.replaceAll('\\e', '\\').replaceAll('\\&', '')

/** What .Bd -literal and .Dl of EXAMPLES show. */
const examplesOf = (text: string): readonly string[] =>
  [
    ...(/^\.Sh EXAMPLES\n([\s\S]*?)^\.Sh /m.exec(text)?.[1] ?? '').matchAll(/^\.Bd .*\n([\s\S]*?)^\.Ed$|^\.Dl (.*)$/gm),
  ].map(([, block, line]) => unescaped(block ?? `${line}\n`))

/** Document by document: the pages in Markdown by their paths, but those of docs/recipes; manual pages by their names. */
export const written: ReadonlyMap<string, readonly string[]> = new Map([
  ...DOCUMENTS.map((path): [string, readonly string[]] => [
    path,
    blocksOf(read(path))
      .filter(({ info }) => !['ts', 'python', 'json'].includes(info) && !info.startsWith('sh '))
      .flatMap(({ info, content }) => commandsIn(content, info === 'sh')),
  ]),
  ...pages.map((page): [string, readonly string[]] => [
    page.file,
    examplesOf(page.text).flatMap((content) => commandsIn(content, false)),
  ]),
])

/** The line by which the table names a command. */
export const named = (command: string): string => command.split('\n')[0] ?? ''
