// The Debian package on a Debian 13 that runs systemd: installed, started, used, reloaded, upgraded, removed, purged.
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { bootHost, type Host } from './host.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { must } from './run.ts'

/** systemd-analyze security: more is less protected. */
const EXPOSURE = { 'acceptd.service': 2, 'acceptd-helper.service': 4 } as const

/** Files that change for other reasons than ours: logs, lists of packages, copies that user tools keep. */
const FOREIGN =
  '^/(proc|sys|dev|run|tmp|mnt|root|var/(log|cache|tmp|lib/(dpkg|systemd))|etc/(runit|sv|passwd|group|shadow|gshadow|subuid|subgid)-?|etc/\\.pwd\\.lock)(/|$)'

const CONTROL = `
useradd --create-home ann
echo 'ann:right %1+="x' | chpasswd
`

const CONFIGURATION = `
cd /etc/acceptd
echo mx.acceptd.test >me
printf '127.0.0.1:587 smtp submission tls=require\\n127.0.0.1:995 pop3 mailbox\\n' >listeners
cat >chains <<'END'
account acceptd
chain submission
  checkpassword builtin
  backend /usr/lib/acceptd/acceptd-maildir smtp
chain mailbox
  checkpassword builtin
  backend /usr/lib/acceptd/acceptd-maildir pop3
END
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>/dev/null
chgrp acceptd key.pem
chmod 640 key.pem
echo 'localhost /etc/acceptd/cert.pem /etc/acceptd/key.pem' >tls
`

let claim: Claim
let host: Host
let files = ''

const OLD = '/mnt/acceptd_0.0.9_*.deb'
const NEW = '/mnt/acceptd_0.1.*.deb'

before(
  async () => {
    claim = await claimMachine()
    for (const version of [[], ['--version', '0.0.9']])
      await must([process.execPath, 'scripts/run.mjs', 'package', '--no-build', ...version], {
        cwd: TOP,
        timeout: 120_000,
      })
    const share = join(claim.dir, 'share')
    mkdirSync(share)
    for (const name of readdirSync(join(TOP, 'dist')).filter((one) => one.endsWith('.deb')))
      cpSync(join(TOP, 'dist', name), join(share, name))
    host = await bootHost(share)
    await host.sh(CONTROL)
    files = await host.sh(`find / -xdev | grep -Ev '${FOREIGN}' | sort`)
  },
  { timeout: 1_000_000 },
)

after(async () => {
  await host.end()
  claim.release()
})

const PASSWORD = 'right %1+="x'

const submit = (subject: string, password = PASSWORD) =>
  host.run([
    ...'swaks --server localhost --port 587 --tls --tls-verify --tls-ca-path /etc/acceptd/cert.pem --auth PLAIN'.split(
      ' ',
    ),
    '--auth-user',
    'ann',
    '--auth-password',
    password,
    '--from',
    'ann@example.org',
    '--to',
    'you@example.org',
    '--header',
    `Subject: ${subject}`,
  ])

const fetched = (number: number) =>
  host.run([
    ...`curl -sS --cacert /etc/acceptd/cert.pem pop3s://localhost/${number} --user`.split(' '),
    `ann:${PASSWORD}`,
  ])

const shown = async (property: string, unit = 'acceptd'): Promise<string> =>
  (await host.sh(`systemctl show --value --property=${property} ${unit}`)).trim()

void it('the package installs on a host with nothing but its own packages, and starts nothing yet', async () => {
  await host.sh(`dpkg -i ${OLD}`)
  assert.equal(await shown('ActiveState'), 'inactive')
  assert.match(
    await host.sh('acceptctl --help; acceptd --version; id acceptd'),
    /^acceptd 0\.1\.0\nuid=\d+\(acceptd\)/m,
  )
  assert.match(await host.sh('systemctl is-enabled acceptd acceptd-helper'), /^enabled\nenabled\n$/)
  assert.equal(await host.sh('find /usr/lib/acceptd -name node_modules -o -perm /6000'), '')
  assert.match(
    await host.sh('stat -c "%U:%G %a" /run/acceptd-helper /run/acceptd /var/lib/acceptd'),
    /^root:acceptd 750\nacceptd:acceptd 700\nacceptd:acceptd 700\n$/,
  )
})

void it('systemctl start waits until it is ready; a real user submits over TLS and fetches', async () => {
  await host.sh(CONFIGURATION)
  await host.sh('systemctl start acceptd')
  assert.equal(await shown('ActiveState', 'acceptd-helper'), 'active')
  assert.match(await shown('StatusText'), /^generation 1, ports 587, 995$/)
  const sent = await submit('from the package')
  assert.equal(sent.code, 0, sent.transcript)
  assert.match((await fetched(1)).stdout, /Subject: from the package\r?\n/)
  assert.match(await host.sh('stat -c %U /home/ann/Maildir/new/*'), /^ann\n$/)
  assert.match(await host.sh('acceptctl server health'), /^helper +ok /m)
})

void it('no process of acceptd is root or has a capability, and only the helper may become root', async () => {
  const group = await shown('ControlGroup')
  const status = await host.sh(`for p in $(cat /sys/fs/cgroup${group}/cgroup.procs); do cat /proc/$p/status; done`)
  assert.equal(status.match(/^Name:/gm)?.length, 4, 'acceptd, acceptd.js, the runtime, acceptd-notify')
  for (const line of status.match(/^(Uid|CapEff|CapAmb):.*$/gm) ?? [])
    assert.match(line, /^(Uid:\t([1-9]\d*)\t\2\t\2\t\2|Cap...:\t0+)$/, status)
})

void it('the journal has the priority of each line, and fail2ban finds a wrong password there', async () => {
  const refused = await submit('refused', 'wrong')
  assert.match(refused.transcript, /535 /)
  const warned = await host.until('journalctl --no-pager -u acceptd -p warning -o cat | grep login-failed')
  // The journal adds its own time.
  assert.match(warned, /^warn login-failed session=\S+ ip=127\.0\.0\.1 /)
  assert.equal(await host.sh('journalctl --no-pager -u acceptd -p warning -o cat | grep -c " info " || true'), '0\n')
  const lines = 'fail2ban-regex -v systemd-journal /etc/fail2ban/filter.d/acceptd.conf'
  assert.match(await host.sh(lines), /Lines: \d+ lines, \d+ ignored, 1 matched/)
})

void it('systemctl reload publishes what has changed, and fails when that is wrong', async () => {
  await host.sh('echo PIPELINING >/etc/acceptd/smtpcapabilities; systemctl reload acceptd')
  assert.match(await shown('StatusText'), /^generation 2, /)
  await host.sh('echo nonsense >/etc/acceptd/timeoutsmtpd')
  const failed = await host.run(['systemctl', 'reload', 'acceptd'])
  assert.equal(failed.code, 1, failed.transcript)
  assert.match(await host.sh('journalctl --no-pager -u acceptd -o cat'), /timeoutsmtpd:1:1: /)
  assert.equal(await shown('ActiveState'), 'active')
  await host.sh('echo 1200 >/etc/acceptd/timeoutsmtpd; systemctl reload acceptd')
  const sent = await submit('after the reloads')
  assert.equal(sent.code, 0, sent.transcript)
})

void it('a killed process is started again', async () => {
  await host.sh(
    'systemctl kill --signal=SIGKILL --kill-whom=all acceptd-helper; systemctl kill --signal=SIGKILL acceptd',
  )
  await host.until('[ "$(systemctl show --value -p NRestarts acceptd)" = 1 ] && systemctl is-active -q acceptd')
  await host.until('systemctl is-active -q acceptd-helper && [ -S /run/acceptd-helper/helper.sock ]')
  const sent = await submit('after a kill')
  assert.equal(sent.code, 0, sent.transcript)
})

void it('a runtime that hangs is ended by the watchdog', async () => {
  await host.sh(`
    mkdir -p /run/systemd/system/acceptd.service.d
    printf '[Service]\\nWatchdogSec=2\\n' >/run/systemd/system/acceptd.service.d/test.conf
    systemctl daemon-reload; systemctl restart acceptd`)
  const began = await shown('NRestarts')
  // In microseconds. It keeps reporting that it is alive, for longer than the watchdog waits.
  const first = Number(await shown('WatchdogTimestampMonotonic'))
  const longer = `$((${first} + 3000000))`
  await host.until(`[ "$(systemctl show --value -p WatchdogTimestampMonotonic acceptd)" -gt ${longer} ]`)
  assert.equal(await shown('NRestarts'), began)
  await host.sh("kill -STOP $(pgrep --newest -f '^/usr/bin/node .*acceptd.js')")
  await host.until(`[ "$(systemctl show --value -p NRestarts acceptd)" != ${began} ] && systemctl is-active -q acceptd`)
  await host.sh(`
    rm -r /run/systemd/system/acceptd.service.d; systemctl daemon-reload; systemctl restart acceptd`)
  assert.match(await host.sh('journalctl --no-pager -u acceptd -o cat'), /Watchdog timeout/)
})

/**
 * Until /run/enough is there: POP3 over TLS from the greeting to QUIT, again and again, beside one session that never ends. Prints how many of
 * the first were served, whether the other one was, and what went wrong.
 */
const FETCHING = `
const { connect } = require('tls'), { existsSync, readFileSync, writeFileSync } = require('fs')
const ca = readFileSync('/etc/acceptd/cert.pem')
async function* talk(words) {
  const socket = connect(995, 'localhost', { ca }).setTimeout(60000, () => socket.destroy(new Error('hangs')))
  let left = ''
  const lines = (async function* () {
    for await (const bytes of socket) { left += bytes; for (let end; (end = left.indexOf('\\n')) >= 0; left = left.slice(end + 1)) yield left.slice(0, end) }
  })()
  for (let n = 0; ; n += 1) {
    const { value = 'the end' } = await lines.next()
    if (!value.startsWith('+OK')) throw new Error(n + ': ' + value)
    yield
    const word = words(n)
    if (word === undefined) return socket.end()
    socket.write(word + '\\r\\n')
  }
}
const LOGIN = ['USER ann', 'PASS ' + process.argv[1]]
let served = 0, wrong = ''
const enough = () => existsSync('/run/enough')
const all = async (words) => { try { for await (const _ of talk(words)); return true } catch (error) { wrong += error.message + ';'; return false } }
const often = async () => { while (!enough() && wrong === '') { if (await all((n) => [...LOGIN, 'STAT', 'QUIT'][n])) served += 1; if (served === 8) writeFileSync('/run/busy', '') } }
const long = all((n) => LOGIN[n] ?? (enough() ? undefined : 'NOOP'))
Promise.all([often(), often(), often(), long]).then(([, , , held]) => console.log(JSON.stringify({ served, held, wrong })))
`

/** The runtime is the last process of acceptd's that began. */
const runtime = async (): Promise<string> => host.sh("pgrep --newest -f '^/usr/bin/node .*acceptd.js'")

void it('the upgrade keeps the configuration, and the new program takes over while clients are served', async () => {
  const [chains, pid, main] = [await host.sh('cat /etc/acceptd/chains'), await runtime(), await shown('MainPID')]
  await host.sh('rm -f /run/enough /run/busy')
  const fetching = host.run(['node', '-e', FETCHING, PASSWORD])
  await host.until('[ -e /run/busy ]')
  await host.sh(`dpkg -i ${NEW}`)
  await host.sh('rm /run/busy')
  const sent = await submit('after the upgrade')
  assert.equal(sent.code, 0, sent.transcript)
  await host.sh('touch /run/enough')
  const { stdout, transcript } = await fetching
  const { served, held, wrong } = JSON.parse(stdout || '{}') as Readonly<Record<string, unknown>>
  assert.deepEqual([held, wrong], [true, ''], transcript)
  assert.ok(Number(served) >= 8, transcript)
  assert.match(await host.sh('dpkg -s acceptd'), /^Version: 0\.1\./m)
  assert.equal(await host.sh('cat /etc/acceptd/chains'), chains)
  assert.notEqual(await runtime(), pid)
  assert.equal(await shown('MainPID'), main)
  assert.match(
    await host.sh('journalctl --no-pager -u acceptd -o cat'),
    /upgrade-begins .*reason="upgrade from 0\.0\.9"/,
  )
})

void it('an upgrade to a package that would not serve is reported, and the old program goes on', async () => {
  const pid = await runtime()
  const ran = await host.run(['sh', '-c', `echo never >/etc/acceptd/timeoutsmtpd; exec dpkg -i ${NEW}`])
  assert.equal(ran.code, 0, ran.transcript)
  assert.match(ran.transcript, /timeoutsmtpd:1:1: [\s\S]*acceptd: the program of before goes on/)
  assert.equal(await runtime(), pid)
  const sent = await submit('after an upgrade that was none')
  assert.equal(sent.code, 0, sent.transcript)
  await host.sh(`echo 1200 >/etc/acceptd/timeoutsmtpd; dpkg -i ${NEW}`)
  assert.notEqual(await runtime(), pid)
})

void it('a wrong configuration is reported once, and not tried again and again', async () => {
  await host.sh('mv /etc/acceptd/listeners /etc/acceptd/listeners.away')
  assert.equal((await host.run(['systemctl', 'restart', 'acceptd'])).code, 1)
  assert.equal(await shown('ActiveState'), 'failed')
  assert.equal(await shown('ExecMainStatus'), '78')
  await host.sh('mv /etc/acceptd/listeners.away /etc/acceptd/listeners; systemctl start acceptd')
})

void it('systemd finds nothing wrong with the units, and little exposure', async () => {
  assert.equal(
    await host.sh('systemd-analyze verify --man=no acceptd.service acceptd.socket acceptd-helper.service 2>&1'),
    '',
  )
  for (const [unit, most] of Object.entries(EXPOSURE)) {
    const said = await host.sh(`systemd-analyze security --no-pager ${unit}`)
    const exposure = Number(/Overall exposure level for \S+: (\S+)/.exec(said)?.[1])
    assert.ok(exposure <= most, `${unit}: ${exposure}`)
  }
})

void it('the profile of AppArmor and the completion of bash load', async () => {
  await host.sh('apparmor_parser --skip-kernel-load --skip-cache /etc/apparmor.d/acceptd')
  const words = `
    . /usr/share/bash-completion/completions/acceptctl
    COMP_WORDS=(acceptctl session l); COMP_CWORD=2; _acceptctl; echo "\${COMPREPLY[@]}"`
  assert.match((await host.run(['bash', '-c', words])).stdout, /^list\n$/)
})

/** Connects to port 587 until /run/enough is there: how many were greeted, and what became of the others. */
const KNOCKING = `
const { connect } = require('net'), { existsSync } = require('fs')
const told = {}
const knock = () => new Promise((resolve) => {
  let text = ''
  const socket = connect(587, '127.0.0.1').setTimeout(60000, () => socket.destroy(new Error('hangs')))
  socket.on('data', (bytes) => { if (text === '') socket.end('QUIT\\r\\n'); text += bytes })
  socket.on('error', (error) => { text = error.message })
  socket.on('close', () => { const what = text.slice(0, 3) === '220' ? '220' : text || 'nothing'; told[what] = (told[what] || 0) + 1; resolve() })
})
const loop = async () => { while (!existsSync('/run/enough')) await knock() }
Promise.all([1, 2, 3, 4].map(loop)).then(() => console.log(JSON.stringify(told)))
`

// Nothing shows when enough clients have come, and what they received is checked later.
const FOR_CLIENTS = 'sleep 0.3'

void it('with acceptd.socket enabled a restart refuses nobody, and a start after a stop serves clients that have waited', async () => {
  assert.match((await host.run(['systemctl', 'is-enabled', 'acceptd.socket'])).stdout, /^disabled\n$/)
  await host.sh(`
    mkdir -p /etc/systemd/system/acceptd.socket.d
    printf '[Socket]\\nListenStream=\\nListenStream=127.0.0.1:587\\nListenStream=127.0.0.1:2500\\n' >/etc/systemd/system/acceptd.socket.d/ports.conf
    systemctl daemon-reload; systemctl stop acceptd; systemctl enable --now acceptd.socket; rm -f /run/enough`)
  const knocking = host.run(['node', '-e', KNOCKING])
  for (let n = 0; n < 3; n += 1) await host.sh(`${FOR_CLIENTS}; systemctl restart acceptd`)
  await host.sh(`systemctl stop acceptd.service; ${FOR_CLIENTS}; systemctl start acceptd; touch /run/enough`)
  const told = JSON.parse((await knocking).stdout) as Readonly<Record<string, number>>
  assert.deepEqual(Object.keys(told), ['220'], JSON.stringify(told))
  assert.match(await shown('StatusText'), /ports 587, 995$/)
  assert.match(
    await host.sh('journalctl --no-pager -u acceptd -o cat'),
    /^acceptd: LISTEN_FDNAMES: the socket `acceptd\.socket` is that of no listener of control\/listeners: it is closed$/m,
  )
  const sent = await submit('through the socket unit')
  assert.equal(sent.code, 0, sent.transcript)
  await host.sh(`
    systemctl disable --now acceptd.socket; rm -r /etc/systemd/system/acceptd.socket.d
    systemctl daemon-reload; systemctl restart acceptd`)
})

const SUPERVISORS = [
  { name: 'runit', start: 'runsvdir /service', log: 'current' },
  { name: 'daemontools', start: 'svscan /service', log: 'current' },
  { name: 's6', start: 's6-svscan /service', log: 'current' },
] as const

for (const { name, start, log } of SUPERVISORS)
  void it(`under ${name} the run scripts of docs/examples serve, and their output is logged`, async () => {
    await host.sh(`
      systemctl stop acceptd acceptd-helper
      systemd-tmpfiles --create acceptd.conf
      rm -rf /service /var/log/acceptd*
      cp -R /usr/share/doc/acceptd/examples/${name} /service
      systemd-run --quiet --collect --unit=by-${name} ${start}`)
    await host.until('acceptctl server ping')
    const sent = await submit(`under ${name}`)
    assert.equal(sent.code, 0, sent.transcript)
    await host.until(`grep -q login-accepted /var/log/acceptd/${log}`)
    await host.sh(`grep -q privileged /var/log/acceptd-helper/${log}`)
    await host.sh(`systemctl stop by-${name}; rm -rf /service /var/log/acceptd*`)
  })

void it('removed it serves no more and keeps its configuration; purged it leaves nothing', async () => {
  await host.sh('dpkg -r acceptd')
  assert.equal(await host.sh('pgrep -u acceptd || true; pgrep accept-helper || true'), '')
  assert.match(await host.sh('cat /etc/acceptd/me'), /^mx\.acceptd\.test\n/)
  await host.sh('rm /etc/acceptd/key.pem /etc/acceptd/cert.pem /etc/acceptd/tls; dpkg -P acceptd')
  const left = await host.sh(`find / -xdev | grep -Ev '${FOREIGN}' | sort`)
  const gone = new Set(files.split('\n'))
  assert.deepEqual(
    left.split('\n').filter((path) => !gone.has(path) && !path.startsWith('/home/ann/')),
    [],
  )
  assert.equal(
    await host.sh(
      'grep -h acceptd /etc/passwd /etc/group || true; ls -d /run/acceptd* /var/lib/acceptd 2>/dev/null || true',
    ),
    '',
  )
  assert.equal((await host.sh('systemctl list-units --all --no-legend "acceptd*"')).trim(), '')
})
