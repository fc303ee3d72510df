// The images of packaging/Containerfile, built and started without an engine, with the rights that packaging/compose.yaml gives them.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type Images, makeImages, type Stage, stagesOf } from './containerfile.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { until } from './processes.ts'
import { must } from './run.ts'

const stages = stagesOf(readFileSync(join(TOP, 'packaging/Containerfile'), 'utf8'))
const compose = readFileSync(join(TOP, 'packaging/compose.yaml'), 'utf8')
const PASSWORD = 'right %1+="x'

const stage = (name: string): Stage => {
  const found = stages.find((one) => one.name === name)
  assert.ok(found !== undefined, name)
  return found
}
const last = (name: string, instruction: string): string =>
  stage(name).steps.findLast(([one]) => one === instruction)?.[1] ?? ''
const entryPoint = (name: string): readonly string[] => JSON.parse(last(name, 'ENTRYPOINT')) as string[]
const capabilities = [...(/cap_add:\n((?: +- \w+\n)+)/.exec(compose)?.[1]?.matchAll(/- (\w+)/g) ?? [])].map(
  ([, name = '']) => `+${name.toLowerCase()}`,
)

let claim: Claim
let images: Images
const started: ChildProcess[] = []
before(
  async () => {
    claim = await claimMachine()
    await must([process.execPath, 'scripts/run.mjs', 'package', '--no-build'], { cwd: TOP, timeout: 120_000 })
    images = await makeImages(claim, ['acceptd', 'postfix'])
    for (const name of ['acceptd', 'postfix']) await images.build(stage(name))
  },
  { timeout: 1_200_000 },
)
after(async () => {
  for (const child of started) child.kill('SIGKILL')
  await images.end()
  claim.release()
})

const LIMITED = ['setpriv', '--inh-caps', '-all', '--bounding-set', ['-all', ...capabilities].join(',')]

/** Its output is a file: Postfix opens /dev/stdout, which a socket does not allow. */
function start(image: string, words: readonly string[]): { readonly said: () => string; readonly child: ChildProcess } {
  const [program = '', ...args] = images.inside(image, words, true)
  const file = join(claim.dir, `said-${started.length}`)
  const output = openSync(file, 'a')
  const child = spawn(program, args, { stdio: ['ignore', output, output] })
  closeSync(output)
  started.push(child)
  return { child, said: () => readFileSync(file, 'latin1') }
}

const inAcceptd = (script: string): Promise<string> => must(images.inside('acceptd', ['sh', '-ec', script], true))

/** HEALTHCHECK ... CMD, in either form. */
async function isHealthy(image: string): Promise<boolean> {
  const command = /CMD (.*)$/.exec(last(image, 'HEALTHCHECK'))?.[1] ?? ''
  const words =
    command.startsWith('[') && command.endsWith('"]') ? (JSON.parse(command) as string[]) : ['sh', '-c', command]
  return must(images.inside(image, words, true)).then(
    () => true,
    () => false,
  )
}

const healthy = (image: string, show: () => string): Promise<void> =>
  until(`${image} to be healthy`, () => isHealthy(image), { timeout: 60_000, every: 500, show })

const submit = (port: number, password = PASSWORD) =>
  images.beside([
    ...`swaks --server 127.0.0.1 --port ${port} ${port === 465 ? '--tlsc' : '--tls'} --auth PLAIN --auth-user ann`.split(
      ' ',
    ),
    '--auth-password',
    password,
    '--from',
    'ann@mail.example.org',
    '--to',
    'root@localhost',
  ])

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  // nsenter waits for what it has started, and ends as it does.
  const [pid = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').split(' ')
  process.kill(Number(pid), signal)
  await until('it to end', () => child.exitCode !== null || child.signalCode !== null, { timeout: 30_000 })
}

void it('the file has no moving tag, no download outside apt, and leaves no package lists in an image', () => {
  for (const { base, steps } of stages) {
    assert.match(base, /^docker\.io\/library\/debian:13-slim$/)
    for (const [instruction, rest] of steps) {
      assert.notEqual(instruction, 'ADD')
      if (rest.includes('apt-get install'))
        assert.match(rest, /^apt-get update .*--no-install-recommends .*&& rm -r .*\/var\/lib\/apt\/lists$/)
    }
  }
  for (const [, target = ''] of compose.matchAll(/^ +target: (\w+)$/gm)) stage(target)
})

void it('without a certificate and users it reports what is missing, and is not healthy', async () => {
  const acceptd = start('acceptd', [...LIMITED, ...entryPoint('acceptd')])
  await until('it to end', () => acceptd.child.exitCode !== null, { timeout: 30_000, show: acceptd.said })
  assert.equal(acceptd.child.exitCode, 78, acceptd.said())
  assert.match(acceptd.said(), /^\/etc\/acceptd\/tls:1:\d+: /m)
  assert.equal(await isHealthy('acceptd'), false)
})

void it('with them it serves on a read-only file system, and Postfix learns who has logged in', async () => {
  await images.outside(`
    cd acceptd/etc/acceptd
    mkdir -m 750 tls.d
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=mail.example.org -keyout tls.d/mail.key -out tls.d/mail.pem 2>/dev/null
    chmod 640 tls.d/mail.key
    echo "ann:$(openssl passwd -6 '${PASSWORD}'):20001:20001:Ann:/:/bin/sh" >users
    chmod 600 users
    echo 127.0.0.1 postfix mail.example.org >>../hosts`)
  const mounts = [...compose.matchAll(/^ +- (\/\w+):(mode=\d+)$/gm)]
  assert.equal(mounts.length, 2)
  await inAcceptd('chgrp acceptd /etc/acceptd/tls.d /etc/acceptd/tls.d/mail.key')
  // read_only, with its volumes and tmpfs.
  await images.outside(`
    for volume in etc/acceptd var/lib/acceptd; do mount --bind acceptd/$volume acceptd/$volume; done
    ${mounts.map(([, path = '', options = '']) => `mount -t tmpfs -o ${options} tmpfs acceptd${path}`).join('\n')}
    mount -o remount,bind,ro acceptd`)
  const postfix = start('postfix', entryPoint('postfix'))
  await healthy('postfix', postfix.said)
  const acceptd = start('acceptd', [...LIMITED, ...entryPoint('acceptd')])
  await healthy('acceptd', acceptd.said)
  assert.match(acceptd.said(), / accept-helper: serving \S+ privileged\n/)
  for (const port of [587, 465]) {
    const sent = await submit(port)
    assert.equal(sent.code, 0, `${sent.transcript}\n${acceptd.said()}\n${postfix.said()}`)
  }
  await until('the log', () => /postfix\/submission\/smtpd.*sasl_username=ann/.test(postfix.said()), {
    show: postfix.said,
  })
  assert.match((await submit(587, 'wrong')).transcript, / 535 /)
  await end(acceptd.child, 'SIGTERM')
  assert.equal(acceptd.child.exitCode, 0, acceptd.said())
})

void it('with no-new-privileges the helper serves in a separate container, and acceptd has never been root', async () => {
  const alone = start('acceptd', [...LIMITED, '--no-new-privs', ...entryPoint('acceptd')])
  await until('what it says', () => / without privileges/.test(alone.said()), { timeout: 30_000, show: alone.said })
  await end(alone.child, 'SIGTERM')
  await inAcceptd('echo unit >/etc/acceptd/helper')
  const helper = start('acceptd', [...LIMITED, '--no-new-privs', '/usr/lib/acceptd/accept-helper', 'serve'])
  await until('the helper', () => / serving \S+ privileged\n/.test(helper.said()), { show: helper.said })
  await inAcceptd('install -d -o acceptd -g acceptd -m 700 /run/acceptd')
  const user = [
    'setpriv',
    '--reuid',
    'acceptd',
    '--regid',
    'acceptd',
    '--init-groups',
    '--bounding-set',
    '-all',
    '--no-new-privs',
  ]
  const acceptd = start('acceptd', [...user, ...entryPoint('acceptd')])
  await healthy('acceptd', () => acceptd.said() + helper.said())
  const sent = await submit(587)
  assert.equal(sent.code, 0, `${sent.transcript}\n${acceptd.said()}`)
  await end(acceptd.child, 'SIGTERM')
  await end(helper.child, 'SIGTERM')
})
