// docs/running-beside.md: from the run scripts of its tables, under daemontools, to the daemon and back, by its own commands.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { written } from '../docs/commands.ts'
import type { Host } from './host.ts'
import { TOP } from './machine.ts'
import { PASSWORD, type Packaged, packagedHost } from './recipes.ts'

const PAGE = readFileSync(join(TOP, 'docs/running-beside.md'), 'utf8')

/** The cells of the page's tables, without their back quotes. */
const rows: readonly (readonly string[])[] = PAGE.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.replaceAll('`', '')),
  )

const SUBMISSION = 'tcpserver 0 587 reup -t 5 authup smtp checkpassword'
const MAILBOX = 'tcpserver 0 110 authup pop3 checkpassword'

/** The columns after a run script: what the programs of acceptd make of it, or control/listeners and control/chains. */
function translated(script: string, columns: 1 | 2): readonly string[] {
  const row = rows.find(([first = '', ...rest]) => first.startsWith(script) && rest.length === columns)
  assert.ok(row !== undefined, script)
  return row.slice(1)
}

let all: Packaged
let host: Host
before(
  async () => {
    all = await packagedHost()
    ;({ host } = all)
    await host.sh(`
      dpkg -i /mnt/acceptd_*.deb
      useradd --create-home joe
      echo 'joe:${PASSWORD}' | chpasswd
      ln -s /usr/lib/acceptd/checkpassword /bin/checkpassword
      mkdir -p /var/qmail/bin /var/qmail/control /service
      printf '#!/bin/sh\\nexec /usr/lib/acceptd/acceptd-maildir smtp\\n' >/var/qmail/bin/ofmipd
      printf '#!/bin/sh\\nexec /usr/lib/acceptd/acceptd-maildir pop3\\n' >/var/qmail/bin/qmail-pop3d
      chmod 755 /var/qmail/bin/*
      echo mx.acceptd.test >/var/qmail/control/me
      cp /etc/acceptd/smtpcapabilities /etc/acceptd/pop3capabilities /etc/acceptd/fixsmtpio /etc/acceptd/timeoutsmtpd /var/qmail/control
      cp -R /usr/share/doc/acceptd/examples/daemontools/. /service
      touch /service/acceptd/down /service/acceptd-helper/down`)
    for (const [name, line] of [
      ['submission', SUBMISSION],
      ['pop3', MAILBOX],
    ] as const)
      await host.sh(`
        mkdir /service/${name}
        cat >/service/${name}/run <<'END'
#!/bin/sh
D=/usr/lib/acceptd
PATH=/var/qmail/bin:$PATH
exec ${translated(line, 1)[0]}
END
        chmod 755 /service/${name}/run`)
    await host.sh('systemd-run --quiet --collect --unit=daemontools svscan /service')
  },
  { timeout: 1_000_000 },
)
after(() => all.end())

/** A command of the page, as it is. */
async function type(begins: string, input = ''): Promise<string> {
  const command = written.get('docs/running-beside.md')?.find((one) => one.startsWith(begins))
  assert.ok(command !== undefined, begins)
  const script = `export SWAKS_OPT_auth_password='${PASSWORD}'\n${command}`
  const { code, transcript } = await host.run(['bash', '-ec', script], input)
  assert.equal(code, 0, `${command}\n${transcript}`)
  return transcript
}

/** Who listens, and a message that goes in by SMTP and out by POP3. */
async function serves(program: string, smtp: number, pop3: number): Promise<void> {
  for (const port of [smtp, pop3]) await host.until(`ss -Hltnp 'sport = :${port}' | grep -q '"${program}"'`)
  await host.sh(`
    rm -rf /home/joe/Maildir
    swaks --server localhost:${smtp} --auth PLAIN --auth-user joe --auth-password '${PASSWORD}' --to joe@localhost --header 'Subject: by ${program}'`)
  const user = `joe:${PASSWORD}`
  const fetched = await host.run(['curl', '-sS', `pop3://localhost:${pop3}/1`, '--user', user])
  assert.match(fetched.stdout, new RegExp(`^Subject: by ${program}\r?$`, 'm'), fetched.transcript)
}

void it('the programs serve in the run scripts, line for line', async () => {
  await serves('tcpserver', 587, 110)
})

void it('the daemon runs beside them, with their control files, on its own ports', async () => {
  await type('cd /etc/acceptd')
  const [submission, mailbox] = [translated(SUBMISSION, 2), translated(MAILBOX, 2)]
  const put = (file: string, lines: readonly string[]) =>
    host.run(['sh', '-c', 'cat >"$0"', file], `${lines.join('\n')}\n`)
  await put('/etc/acceptd/listeners', [submission[0] ?? '', mailbox[0] ?? ''])
  await put('/etc/acceptd/chains', [
    'account acceptd',
    ...[submission, mailbox].flatMap(([, chain = '']) => chain.split(' / ')),
  ])
  await type('acceptd --check')
  await host.sh('svc -u /service/acceptd-helper /service/acceptd')
  await host.until('acceptctl server ping')
  assert.match(await type('acceptctl auth test joe', `${PASSWORD}\n`), /accepted/)
  assert.match(await type('swaks'), /235 /)
  await serves('node', 1587, 1110)
  await serves('tcpserver', 587, 110)
})

void it('the daemon takes the real ports', async () => {
  await type('sed -i')
  await type('acceptd --check')
  await type('svc -d /service/submission')
  await type('svc -t')
  await serves('node', 587, 110)
})

void it('and gives them back', async () => {
  await type('svc -d /service/acceptd')
  await type('svc -u')
  await serves('tcpserver', 587, 110)
})
