// The pages of docs/recipes, word for word, on a Debian 13 with systemd and nothing else: their files are written, their commands typed.
import assert from 'node:assert/strict'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it, type TestContext } from 'node:test'
import type { Host } from './host.ts'
import { follow, PASSWORD, type Packaged, packagedHost, stepsOf } from './recipes.ts'
import type { Ran } from './run.ts'

/** Accounts, and what curl asks `~/.netrc` for. */
const SET_UP = `
dpkg -i /mnt/acceptd_*.deb
useradd --create-home --shell /bin/sh ann
echo 'ann:${PASSWORD}' | chpasswd
cat >/root/.netrc <<'END'
machine localhost login ann password "right %1+=\\"x"
END
cp -a /etc/acceptd /root/etc-acceptd
`

/** Restores everything to what it was before the previous page. */
const FRESH = `
systemctl stop acceptd
rm -rf /etc/acceptd /home/ann/Maildir
cp -a /root/etc-acceptd /etc/acceptd
`

let all: Packaged
let host: Host
before(
  async () => {
    all = await packagedHost()
    ;({ host } = all)
    await host.sh(SET_UP)
  },
  { timeout: 1_000_000 },
)
after(() => all.end())

async function begin(): Promise<void> {
  await host.sh(FRESH)
  assert.match(await follow(host, stepsOf('README.md')), /250 2\.0\.0 filed as /)
}

const submitting = (from: string, ...more: readonly string[]): Promise<Ran> =>
  host.run(
    [
      ...'swaks --server localhost --port 587 --tls --auth PLAIN --auth-user ann --to ann@localhost'.split(' '),
      '--auth-password',
      PASSWORD,
      '--from',
      from,
      ...more,
    ],
    '',
  )

/** Nobody gets in without the password. */
async function refuses(user: string): Promise<void> {
  const ran = await submitting('ann@localhost', '--auth-user', user, '--auth-password', 'wrong', '--quit-after', 'AUTH')
  assert.match(ran.transcript, / 535 /)
}

/** Runs a page by its headings, in order. */
async function bySection(page: string, then: (section: string, said: string) => Promise<void>): Promise<void> {
  const steps = stepsOf(page)
  for (const section of new Set(steps.map((step) => step.section)))
    await then(
      section,
      await follow(
        host,
        steps.filter((step) => step.section === section),
      ),
    )
}

const run = (page: string): Promise<string> => follow(host, stepsOf(page))

void it('where every page begins', begin)

void it('msmtpd', async () => {
  await begin()
  // The smarthost is this host; it files what it receives in the Maildir of the user smarthost.
  await host.sh(`
    useradd --create-home smarthost
    systemd-run --quiet --collect --unit=smarthost --working-directory=/home/smarthost --setenv=HOME=/home/smarthost \
      tcpserver -HRl0 0 25 setuidgid smarthost /usr/lib/acceptd/acceptd-maildir smtp`)
  await host.until("ss -Hltn 'sport = :25' | grep -q .")
  await run('msmtpd.md')
  const [filed = ''] = (await host.sh('cat /home/smarthost/Maildir/new/*')).split('\n\n')
  assert.match(filed, /^Return-Path: <ann@example\.org>$/m)
  assert.match(filed, /^Envelope-To: you@example\.org$/m)
  await refuses('ann')
  await host.sh('systemctl stop smarthost')
})

void it('Exim', async () => {
  await begin()
  assert.match(await run('exim.md'), /^<~ {2}250[- ]SIZE \d+/m)
  await host.until('grep -q "^From: ann@localhost" /var/mail/ann')
  assert.match(await host.sh('stat -c %U /var/mail/ann; cat /var/mail/ann'), /^ann\n[\s\S]*^Received: from ann \(/m)
  await refuses('ann')
})

void it('Postfix', async () => {
  await begin()
  await host.sh('rm -f /var/mail/ann')
  assert.match(await run('postfix.md'), /^<~ {2}250[- ]SIZE \d+/m)
  const uid = (await host.sh('id -u ann')).trim()
  await host.until(`grep -q "(Postfix, from userid ${uid})" /var/mail/ann`)
  await refuses('ann')
})

void it('notqmail', async (t: TestContext) => {
  await begin()
  const home = process.env['QMAIL'] ?? ''
  if (existsSync(join(home, 'bin/qmail-smtpd'))) {
    cpSync(home, join(all.share, 'qmail'), { recursive: true, verbatimSymlinks: true })
    await host.sh('mkdir -p /var/qmail && cp -a /mnt/qmail/. /var/qmail/')
  } else {
    t.diagnostic('QMAIL names no qmail: acceptd-maildir is in the place of qmail-smtpd and qmail-pop3d')
    await host.sh(`
      mkdir -p /var/qmail/bin /var/qmail/control
      echo mail.example.org >/var/qmail/control/me
      printf '#!/bin/sh\\n[ -n "\${RELAYCLIENT+set}" ] && exec /usr/lib/acceptd/acceptd-maildir smtp\\n' >/var/qmail/bin/qmail-smtpd
      printf '#!/bin/sh\\n[ "$*" = Maildir ] && exec /usr/lib/acceptd/acceptd-maildir pop3\\n' >/var/qmail/bin/qmail-pop3d
      chmod 755 /var/qmail/bin/*`)
  }
  await run('notqmail.md')
  await refuses('ann')
  assert.match(await host.sh('curl -sS --netrc --cacert /etc/acceptd/tls.d/mail.pem pop3s://localhost/'), /^1 \d+\r\n/)
})

void it('Dovecot for POP3', async () => {
  await begin()
  assert.match(await run('dovecot-pop3.md'), /^Subject: test /m)
})

void it('checkpassword by PAM, SQL and LDAP, and with the interface of checkpassword-pam', async () => {
  await begin()
  // The directory that the page presumes, and a substitute for checkpassword-pam: it has its command line, and asks /etc/shadow.
  await host.sh(`
    export DEBIAN_FRONTEND=noninteractive
    printf 'slapd slapd/domain string example.org\\nslapd slapd/password1 password admin\\nslapd slapd/password2 password admin\\n' | debconf-set-selections
    apt-get install -y slapd ldap-utils
    install -d -o 60003 -g 60003 -m 700 /var/lib/eve
    ldapadd -x -H ldap://localhost -D cn=admin,dc=example,dc=org -w admin <<END
dn: uid=eve,dc=example,dc=org
objectClass: account
objectClass: posixAccount
objectClass: simpleSecurityObject
uid: eve
cn: Eve
uidNumber: 60003
gidNumber: 60003
homeDirectory: /var/lib/eve
userPassword: $(slappasswd -s secret)
END
    printf '#!/bin/sh\\n[ "$1 $2 $3" = "-s acceptd --" ] || exit 2\\nshift 3\\nexec /usr/lib/acceptd/checkpassword "$@"\\n' >/usr/local/bin/checkpassword-pam
    chmod 755 /usr/local/bin/checkpassword-pam`)
  await bySection('checkpassword.md', async (section) => {
    if (section.startsWith('Dovecot')) for (const user of ['bob', 'eve', 'nobody-such']) await refuses(user)
    else await refuses('ann')
  })
  assert.match(await host.sh('stat -c %u /var/lib/bob/Maildir/new/* /var/lib/eve/Maildir/new/*'), /^60001\n60003\n$/)
  assert.equal((await host.sh('ls /home/ann/Maildir/new | wc -l')).trim(), '3')
})

const fingerprint = async (): Promise<string> =>
  host.sh(`
    openssl s_client -connect localhost:465 -servername mail.example.org </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`)

void it('certbot: the hook hands over what it has renewed, and no session ends', async () => {
  await begin()
  const renew = (): Promise<string> =>
    host.sh(`
      live=/etc/letsencrypt/live/mail.example.org
      install -d -m 700 /etc/letsencrypt/archive/mail.example.org
      mkdir -p $live
      openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=mail.example.org -addext subjectAltName=DNS:mail.example.org \
        -keyout $live/privkey.pem -out $live/fullchain.pem 2>/dev/null
      chmod 600 $live/privkey.pem
      openssl x509 -noout -fingerprint -sha256 <$live/fullchain.pem`)
  const first = await renew()
  await run('certbot.md')
  assert.equal(await fingerprint(), first)
  const second = await renew()
  assert.notEqual(second, first)
  await host.sh(`
    RENEWED_LINEAGE=/etc/letsencrypt/live/mail.example.org /etc/letsencrypt/renewal-hooks/deploy/acceptd`)
  assert.equal(await fingerprint(), second)
})

/** Another host, 192.0.2.9, for which this one is 192.0.2.1. */
const NEIGHBOUR = `
ip netns list | grep -q neighbour || {
  ip netns add neighbour
  ip link add near type veth peer name far netns neighbour
  ip addr add 192.0.2.1/24 dev near
  ip link set near up
  ip netns exec neighbour ip addr add 192.0.2.9/24 dev far
  ip netns exec neighbour ip link set far up
}
`
const fromNeighbour = (password: string): Promise<Ran> =>
  host.run([
    ...'ip netns exec neighbour swaks --server 192.0.2.1 --port 587 --tls --auth PLAIN --auth-user ann --quit-after AUTH'.split(
      ' ',
    ),
    '--auth-password',
    password,
  ])

void it('fail2ban closes the ports to the guesser, and opens them when told to', async () => {
  await begin()
  await host.sh(NEIGHBOUR)
  // Our own delayed answers would take half a minute.
  await host.sh('rm /etc/acceptd/limits; systemctl reload acceptd')
  const steps = stepsOf('fail2ban.md')
  const unban = steps.findIndex((step) => step.do === 'run' && step.script.includes('unbanip'))
  await follow(host, steps.slice(0, unban))
  for (let n = 0; n < 5; n += 1) assert.match((await fromNeighbour(`wrong${n}`)).transcript, / 535 /)
  await host.until('fail2ban-client get acceptd banip | grep -q 192.0.2.9')
  await host.until('! ip netns exec neighbour curl -sS --max-time 2 telnet://192.0.2.1:587 </dev/null')
  assert.match(await follow(host, steps.slice(unban)), /^1\n$|192\.0\.2\.9/)
  const { code, transcript } = await fromNeighbour(PASSWORD)
  assert.equal(code, 0, transcript)
})

void it('HAProxy, and acceptd knows who the client is', async () => {
  await begin()
  await host.sh(NEIGHBOUR)
  await run('haproxy.md')
  const { code, transcript } = await fromNeighbour(PASSWORD)
  assert.equal(code, 0, transcript)
  await host.until('journalctl --no-pager -u acceptd -o cat | grep -q "login-accepted .* ip=192.0.2.9 "')
  await host.sh('apt-get purge -y haproxy')
})

for (const [page, their] of [
  ['from-postfix.md', /ESMTP Postfix/],
  ['from-dovecot.md', /220 .*Dovecot/],
] as const)
  void it(`${page}: there and back, with the same user, password and certificate`, async () => {
    await host.sh(`
      systemctl stop dovecot.socket dovecot postfix || true
      apt-get purge -y dovecot-core postfix
      rm -rf /etc/dovecot /etc/postfix /usr/local/lib/checkpassword-dovecot`)
    await begin()
    await bySection(page, async (section, said) => {
      if (section.startsWith('From ')) return // acceptd is stopped, and nothing else is there yet
      assert.match(said, section === 'The switch' ? /235 2\.0\.0 ok, go ahead/ : their, section)
      await refuses('ann')
      if (page !== 'from-postfix.md') return
      assert.match((await submitting('office@example.org')).transcript, /250 2\.0\.0 Ok: queued/)
      assert.match((await submitting('joe@example.org')).transcript, / 553 /)
    })
  })
