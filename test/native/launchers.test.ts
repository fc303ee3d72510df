// The programs that start as root, with scripts in place of acceptd.js and authup.js: what these receive, as whom they run, and what is
// done with their answers.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, it } from 'node:test'

import { account, group, place, type Ran, root, run, script, write } from './launching.ts'

void describe('the program acceptd', () => {
  beforeEach(() => {
    rmSync(join(place, 'control'), { recursive: true, force: true })
    rmSync(join(place, 'run'), { recursive: true, force: true })
    mkdirSync(join(place, 'control'))
    write('control/chains', `# account 1\n\taccount\t${account} \nchain a\n account 2\n`)
  })
  const acceptd = (...args: readonly string[]): Ran =>
    run('acceptd', ['--control', join(place, 'control'), '--run', join(place, 'run/below'), ...args])
  /** Each step says who it is; `plan` is what it writes. */
  const planning = (plan: string): void =>
    script(
      'acceptd.js',
      `echo "$(id -u) $(id -g) $(id -G) $ACCEPTD_LAUNCHER"
case $ACCEPTD_LAUNCHER in
*" plan"*) ${plan} ;;
*) echo "$@"; for fd in 3 4 5; do if [ -S /proc/$$/fd/$fd ]; then echo socket; else echo none; fi; done ;;
esac`,
    )
  const who = root ? 'root' : 'user'
  const groups = root ? `${group}` : (process.getgroups?.() ?? []).join(' ')

  void it('is the account in both steps of its script, and hands on bound sockets from 3 on, and the arguments', () => {
    planning("printf '4 127.0.0.1 0 a\\n46 :: 0 b\\n' >&3")
    const { code, out, err } = acceptd('--helper', '/x')
    assert.deepEqual([code, err], [0, ''])
    const [plan, serve, args, ...descriptors] = out.trimEnd().split('\n')
    assert.equal(plan?.replace(/ \d[\d ]*(?= (?:root|user))/, ''), `${account} ${who} plan`)
    assert.match(
      serve ?? '',
      new RegExp(`^${account} ${group} .*${who} serve 127\\.0\\.0\\.1 0 [1-9]\\d*,:: 0 [1-9]\\d*$`),
    )
    if (root) assert.equal(serve?.split(' ')[2], groups)
    assert.equal(args, `--control ${place}/control --run ${place}/run/below --helper /x`)
    assert.deepEqual(descriptors, ['socket', 'socket', 'none'])
    const made = statSync(join(place, 'run/below'))
    assert.deepEqual([made.uid, made.gid, made.mode & 0o7777], [account, group, 0o700])
  })

  void it('lets the group of control/statusgroup pass through the run directory', () => {
    const status = root ? 54_399 : group
    write('control/statusgroup', `${status}\n`)
    planning("echo '4 127.0.0.1 0 a' >&3")
    const { out } = acceptd()
    if (root) assert.match(out, new RegExp(`\n${account} ${group} ${group} ${status} root serve `))
    const made = statSync(join(place, 'run/below'))
    assert.deepEqual([made.uid, made.gid, made.mode & 0o7777], [account, status, 0o710])
  })

  void it('passes signals on as lines on standard input, which wait there, and ends as its script does', () => {
    script(
      'acceptd.js',
      `case $ACCEPTD_LAUNCHER in *" plan"*) echo '4 127.0.0.1 0 a' >&3; exit;; esac
      for next in HUP TERM INT; do kill -$next $PPID; read -r line; echo "$line"; done
      grep Uid: /proc/$PPID/status; exit 9`,
    )
    const out = `SIGHUP\nSIGTERM\nSIGINT\nUid:${`\t${account}`.repeat(4)}\n`
    assert.deepEqual(acceptd(), { code: 9, out, err: '' })
  })

  void it('closes the input of its script when it ends', () => {
    script(
      'acceptd.js',
      `case $ACCEPTD_LAUNCHER in *" plan"*) echo '4 127.0.0.1 0 a' >&3; exit;; esac
      kill -KILL $PPID; cat; echo over`,
    )
    assert.deepEqual(acceptd(), { code: null, out: 'over\n', err: '' })
  })

  void it('whose script is killed ends with 128 and the signal', () => {
    script('acceptd.js', `case $ACCEPTD_LAUNCHER in *" plan"*) echo '4 127.0.0.1 0 a' >&3; exit;; esac; kill -KILL $$`)
    assert.equal(acceptd().code, 137)
  })

  void it('says what is wrong to a full pipe without waiting', () => {
    planning('echo nonsense >&3')
    const { status } = spawnSync(
      'perl',
      [
        '-MIO::Handle',
        '-e',
        'pipe(R, W); W->blocking(0); 1 while syswrite W, "x" x 4096; W->blocking(1); open(STDERR, ">&W"); exec @ARGV',
        join(place, 'acceptd'),
        '--control',
        join(place, 'control'),
      ],
      { timeout: 10_000 },
    )
    assert.equal(status, 1)
  })

  for (const [what, end, code] of [
    ['says all there is to say', 'echo usage', 0],
    ['finds errors', 'echo wrong >&2; exit 78', 78],
    ['is killed', 'kill -KILL $$', 137],
    ['fails with a plan', "echo '4 127.0.0.1 0 a' >&3; exit 1", 1],
  ] as const)
    void it(`ends as its script does that ${what}`, () => {
      planning(end)
      const ran = acceptd()
      assert.equal(ran.code, code)
      assert.doesNotMatch(ran.out, / serve/)
    })

  for (const plan of [
    'nonsense',
    '4 127.0.0.1',
    'x ::1 1x',
    '4 127.0.0.1 25',
    '4 127.0.0.1 65536 a',
    '4 127.0.0.1 1234567 a',
    `4 ${'1'.repeat(60)} 1 a`,
    Array.from({ length: 300 }, () => '4 127.0.0.1 0 a').join('\n'),
    'x'.repeat(100_000),
  ])
    void it(`refuses a plan like ${plan.split('\n')[0]?.slice(0, 30)} of ${plan.length} octets`, () => {
      write('plan', plan)
      planning(`cat ${place}/plan >&3 2>/dev/null`)
      const { code, out, err } = acceptd()
      assert.equal(code, 1, err)
      assert.match(err, /^acceptd: (not a plan|more listeners than it can hold)\n$/)
      assert.doesNotMatch(out, / serve/)
    })

  for (const address of ['4 999.0.0.1 25', '4 192.0.2.1 25', '4 localhost 25', '6 127.0.0.1 25'])
    void it(`says that it cannot bind ${address}`, () => {
      planning(`echo '${address} a' >&3`)
      const { code, err } = acceptd()
      const [, host = '', port = ''] = address.split(' ')
      assert.equal(code, 71)
      assert.equal(
        err,
        `acceptd: control/listeners: cannot bind ${host}:${port}: is another program using it, or does it need root?\n`,
      )
    })

  void it('says that another program has the address', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    planning(`echo '4 127.0.0.1 ${port} a' >&3`)
    assert.match(acceptd().err, new RegExp(`cannot bind 127\\.0\\.0\\.1:${port}: `))
    server.close()
  })

  for (const [family, code] of [
    ['46', 71],
    ['6', 0],
  ] as const)
    void it(`binds :: as ${family}: ${code === 0 ? 'beside' : 'not beside'} an IPv4 address on the same port`, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      planning(`echo '${family} :: ${(server.address() as AddressInfo).port} a' >&3`)
      assert.equal(acceptd().code, code)
      server.close()
    })

  if (root) {
    const nobody = /^65534 65534 65534 root plan /
    for (const [what, chains, problem] of [
      ['no account of that name', 'account nobody-has-this\n', 'there is no account `nobody-has-this` in /etc/passwd'],
      ['root', 'account root\n', 'the account must not be root'],
      ['the number 0', 'account 0\n', 'the account must not be root'],
      ['-1', 'account 4294967295\n', 'there is no account `4294967295`'],
    ] as const)
      void it(`with ${what} in control/chains its script is told so as nobody, and nothing is bound`, () => {
        write('control/chains', chains)
        planning("echo '4 127.0.0.1 0 a' >&3")
        const { code, out, err } = acceptd()
        assert.match(out, nobody)
        assert.ok(out.includes(`plan control/chains: ${problem}`), out)
        assert.equal(code, 78)
        assert.ok(err.includes(problem), err)
        assert.doesNotMatch(out, / serve/)
      })
    for (const [name, change] of [
      ['chains', () => chownSync(join(place, 'control/chains'), 54_399, 0)],
      ['chains', () => chmodSync(join(place, 'control/chains'), 0o664)],
      ['statusgroup', () => write('control/statusgroup', '54399\n', 0o666)],
    ] as const)
      void it(`does not believe a control/${name} that others than root could have written`, () => {
        change()
        planning("echo '4 127.0.0.1 0 a' >&3")
        const { code, out, err } = acceptd()
        assert.match(out, nobody)
        assert.equal(code, 78)
        assert.match(
          err,
          new RegExp(`control/${name}: it says whose rights acceptd has, and others than root can write it`),
        )
      })
    void it('gives away no link in place of the run directory', () => {
      mkdirSync(join(place, 'precious'), { recursive: true })
      chmodSync(join(place, 'precious'), 0o755)
      mkdirSync(join(place, 'run'))
      spawnSync('ln', ['-s', join(place, 'precious'), join(place, 'run/below')])
      planning("echo '4 127.0.0.1 0 a' >&3")
      assert.equal(acceptd().code, 1)
      assert.deepEqual(
        [statSync(join(place, 'precious')).uid, statSync(join(place, 'precious')).mode & 0o777],
        [0, 0o755],
      )
    })
  }
})

void describe('the program authup', () => {
  const env = { QMAILHOME: join(place, 'home') }
  beforeEach(() => {
    rmSync(join(place, 'home'), { recursive: true, force: true })
    mkdirSync(join(place, 'home/control'), { recursive: true })
    script(
      'authup-helper',
      `echo "helper $(id -u) $*" >&3
for fd in 3 4 5 6 7; do [ -S /proc/$$/fd/$fd ] && echo socket >&3; [ -c /proc/$$/fd/$fd ] && echo device >&3; done`,
    )
    script(
      'authup.js',
      `echo "$(id -u) $(id -g) $(id -G) $ACCEPTD $AUTHUP_LAUNCHER"
set -- $AUTHUP_LAUNCHER
case $2 in [0-9]*) eval "cat <&$2" ;; esac`,
    )
  })
  const who = (uid: number): string => (root ? `${uid} ${uid} ${uid} ` : `${account} ${group} `)

  void it('starts the helper with its own rights and the chains, then gives them up', () => {
    for (const [name, uid] of [
      ['', 65_534],
      ['12345 \t\nmore\n', 12_345],
    ] as const) {
      write('home/control/authupuser', name)
      const { code, out, err } = run('authup', ['-t', '3', 'smtp', 'a', '-t', 'b', '--', 'guest', '--'], env)
      assert.deepEqual([code, err], [0, ''])
      const [self, helper, ...descriptors] = out.trimEnd().split('\n')
      assert.ok(self?.startsWith(who(uid)), self)
      assert.match(self ?? '', / authup \d+ \d+$/)
      assert.equal(helper, `helper ${root ? '0 --need-root' : account} -- a -t b -- guest --`)
      assert.deepEqual(descriptors, ['socket', 'socket', 'device', 'device'])
    }
  })

  void it('opens the control files with its own rights, where they are root', () => {
    write('home/control/me', 'me.example\n', 0o600)
    script('authup.js', 'for one in $AUTHUP_CONTROLS; do (IFS=:; set -- $one; echo $1; eval "cat <&$2"); done')
    chmodSync(join(place, 'home'), 0o700)
    const { out } = run('authup', ['smtp', 'true'], env)
    assert.equal(out, root ? 'me\nme.example\n' : '')
  })

  void it('hands the descriptors of TLS to the helper, whatever numbers they and its own have', () => {
    script('authup-helper', 'read -r a <&5; echo "$a" >&6; cat <&5 >&3')
    const shell = `exec 3<${place}/in 4>${place}/out; SSLREADFD=3 SSLWRITEFD=4 exec ${place}/authup smtp true`
    write('in', 'first\nrest\n')
    const ran = spawnSync('/bin/sh', ['-c', shell], { encoding: 'latin1', env: { PATH: '/usr/bin:/bin', ...env } })
    assert.match(ran.stdout, /\nrest\n$/, ran.stderr)
    assert.equal(spawnSync('cat', [join(place, 'out')], { encoding: 'latin1' }).stdout, 'first\n')
  })

  for (const args of [
    [],
    ['smtp'],
    ['-t'],
    ['-x', 'smtp', 'a'],
    ['smtp', '--', 'a'],
    ['smtp', 'a', '--'],
    ['-t', '1', 'smtp'],
  ])
    void it(`leaves it to its script to say what is wrong with: authup ${args.join(' ')}`, () => {
      const { out } = run('authup', args, env)
      assert.match(out, args[0] === '-x' ? /authup/ : / authup \n$/)
    })

  if (root)
    for (const [name, problem] of [
      ['root\n', 'root is no account without privileges'],
      ['0\n', '0 is no account without privileges'],
      ['nobody-has-this\n', 'nobody-has-this is no account without privileges'],
    ] as const)
      void it(`with ${name.trim()} in control/authupuser its script is told so as nobody, and there is no helper`, () => {
        write('home/control/authupuser', name)
        const { out } = run('authup', ['smtp', 'true'], env)
        assert.equal(out, `65534 65534 65534  authup ${place}/home/control/authupuser: ${problem}\n`)
      })

  void it('says its helper is missing', () => {
    rmSync(join(place, 'authup-helper'))
    const { out } = run('authup', ['smtp', 'true'], env)
    assert.ok(out.endsWith(` authup cannot run ${place}/authup-helper\n`), out)
  })

  void it('says what it cannot run', () => {
    rmSync(join(place, 'authup.js'))
    const { code, err } = run('authup', ['smtp', 'true'], env)
    assert.equal(code, 111)
    assert.match(
      err,
      new RegExp(`^authup: uid ${root ? 65_534 : account} cannot run ${place}/authup\\.js: No such file`),
    )
  })
})
