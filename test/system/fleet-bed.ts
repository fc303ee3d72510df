// The containers of packaging/fleet/docker-compose.yml without Docker: a network namespace each, with the address, the name, the files and
// the command that the composition says. acceptd comes from the build, with a control directory of its own for each host.
//
//   this process (10.87.0.1) ── bridge ─┬─ balancer   ─┬─ acceptd1, acceptd2, acceptd3
//                                       └──────────────┴─ valkey
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { type Certificate, makeCertificate, tlsLine } from './certificate.ts'
import { type Conversation, converseOn, logIn } from './conversation.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { type Installation, install } from './installation.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { endAll, treeOf } from './processes.ts'
import { makeRecorder, type Recorder } from './recorder.ts'
import { must, run } from './run.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

export const FILES = join(TOP, 'packaging/fleet')
const BRIDGE = 'acceptd-bridge'
const OUR_END = 'acctfleet0'
const OURS = '10.87.0.1'
const MASK = 24

interface Service {
  readonly command?: readonly string[]
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly networks: { readonly fleet: { readonly ipv4_address: string } }
}

export interface Composition {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: { readonly fleet: { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } } }
}

export async function readComposition(): Promise<Composition> {
  const program = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))'
  const input = readFileSync(join(FILES, 'docker-compose.yml'), 'utf8')
  return JSON.parse(await must(['python3', '-c', program], { input })) as Composition
}

export const HOSTS = ['acceptd1', 'acceptd2', 'acceptd3'] as const
export type HostName = (typeof HOSTS)[number]

const namespaceOf = (name: string): string => `acceptd-${name}`
const addressOf = ({ networks }: Service): string => networks.fleet.ipv4_address

/** Including those of a run that was killed. */
async function removeNetwork(names: readonly string[]): Promise<void> {
  for (const name of names) {
    await run(['ip', 'netns', 'del', namespaceOf(name)])
    rmSync(join('/etc/netns', namespaceOf(name)), { recursive: true, force: true })
  }
  await run(['ip', 'netns', 'del', BRIDGE])
  await run(['ip', 'link', 'del', OUR_END])
}

async function makeNetwork(services: Composition['services']): Promise<void> {
  const all = Object.entries(services).map(([name, service]) => ({ name, address: addressOf(service) }))
  await removeNetwork(all.map(({ name }) => name))
  const ip = (line: string) => must(['ip', ...line.split(' ')])
  await ip(`netns add ${BRIDGE}`)
  await ip(`-n ${BRIDGE} link add fleet up type bridge`)
  const hosts = ['127.0.0.1 localhost', ...all.map(({ name, address }) => `${address} ${name}`)].join('\n')
  for (const { name, address } of all) {
    const inside = namespaceOf(name)
    await ip(`netns add ${inside}`)
    await ip(`link add ${name} netns ${BRIDGE} type veth peer name eth0 netns ${inside}`)
    await ip(`-n ${BRIDGE} link set ${name} master fleet up`)
    await ip(`-n ${inside} addr add ${address}/${MASK} dev eth0`)
    for (const device of ['lo', 'eth0']) await ip(`-n ${inside} link set ${device} up`)
    mkdirSync(join('/etc/netns', inside), { recursive: true })
    writeFileSync(join('/etc/netns', inside, 'hosts'), `${hosts}\n`)
  }
  await ip(`link add ours netns ${BRIDGE} type veth peer name ${OUR_END}`)
  await ip(`-n ${BRIDGE} link set ours master fleet up`)
  await ip(`addr add ${OURS}/${MASK} dev ${OUR_END}`)
  await ip(`link set ${OUR_END} up`)
}

/** Cuts a host off from all others, or brings it back. */
export const connected = (name: string, up: boolean): Promise<string> =>
  must(['ip', '-n', BRIDGE, 'link', 'set', name, up ? 'up' : 'down'])

/** Runs argv under the name, in the network and among the files of a container, which it ends with. */
const inside = (name: string, argv: readonly string[], steps: readonly string[] = []): readonly string[] => {
  const script = [`hostname ${name}`, ...steps, 'exec "$@"'].join('\n')
  return ['ip', 'netns', 'exec', namespaceOf(name), 'unshare', '--uts', 'sh', '-ec', script, 'sh', ...argv]
}

/** `source` has the files next to the composition that it names. */
function mounts({ volumes = [], tmpfs = [] }: Service, source: string): readonly string[] {
  const files = volumes.map((volume) => volume.split(':'))
  return [
    'mount -t tmpfs none /usr/local/etc',
    ...tmpfs.map((folder) => `mkdir -p ${folder}; mount -t tmpfs none ${folder}`),
    ...files.map(
      ([from = '', to = '']) => `mkdir -p ${dirname(to)}; touch ${to}; mount --bind ${join(source, from)} ${to}`,
    ),
  ]
}

export interface Container {
  readonly pid: number
  readonly said: () => string
  readonly kill: (signal: NodeJS.Signals) => Promise<void>
}

export interface FleetHost {
  readonly name: HostName
  readonly place: Installation
  readonly recorder: Recorder
  daemon: Daemon
  readonly start: () => Promise<void>
}

export interface Bed {
  readonly people: readonly [TestUser, TestUser, TestUser]
  readonly hosts: readonly FleetHost[]
  readonly balancer: Container
  /** One line to HAProxy's administration socket. */
  readonly administer: (line: string) => Promise<string>
  /** Greeted over the balancer's port 465. */
  readonly client: () => Promise<Conversation>
  readonly login: (user: TestUser) => Promise<Conversation>
  readonly engine: Engine
  readonly end: () => Promise<void>
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

class Making {
  readonly containers: ChildProcess[] = []
  readonly claim: Claim
  readonly composition: Composition
  readonly source: string

  constructor(claim: Claim, composition: Composition) {
    this.claim = claim
    this.composition = composition
    this.source = join(claim.dir, 'compose')
  }

  /** As docker compose would start it; another program may replace the one in the image. */
  container(
    name: string,
    instead: (command: readonly string[]) => readonly string[] = (command) => command,
  ): Container {
    const service = this.composition.services[name]
    if (service?.command === undefined) throw new Error(`no command of ${name}`)
    const [program = '', ...argv] = inside(name, instead(service.command), mounts(service, this.source))
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' })
    this.containers.push(child)
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('latin1').on('data', (text: string) => {
        said += text
      })
    return {
      pid: child.pid ?? 0,
      said: () => said,
      kill: async (signal) => {
        if (hasEnded(child)) return
        const ended = once(child, 'exit')
        child.kill(signal)
        await ended
      },
    }
  }

  async host(
    name: HostName,
    people: Bed['people'],
    account: Omit<TestUser, 'password'>,
    certificate: Certificate,
    fleet: string,
  ): Promise<FleetHost> {
    const dir = join(this.claim.dir, name)
    mkdirSync(dir)
    const place = await install(dir, account)
    const recorder = await makeRecorder(dir, people)
    place.writeChains([
      { ...recorder.chain, name: 'submission' },
      { ...recorder.chain, name: 'mailbox' },
    ])
    place.write('tls', tlsLine(certificate))
    place.write('fleet', fleet)
    place.write('lanes', '1\n')
    const lines = readFileSync(join(FILES, 'control/listeners'), 'utf8').trimEnd().split('\n')
    const begin = () => startDaemon(place, lines, { under: inside(name, []) })
    const host: FleetHost = {
      name,
      place,
      recorder,
      daemon: await begin(),
      start: async () => {
        host.daemon = await begin()
      },
    }
    return host
  }
}

export class Engine {
  private readonly making: Making
  private running: Container

  constructor(making: Making) {
    this.making = making
    this.running = this.begin()
  }

  /** Valkey where it is installed. */
  private begin(): Container {
    const has = existsSync('/usr/bin/valkey-server')
    return this.making.container('valkey', ([program = '', ...argv]) => [has ? program : 'redis-server', ...argv])
  }

  start(): void {
    this.running = this.begin()
  }

  said(): string {
    return this.running.said()
  }

  kill(): Promise<void> {
    return this.running.kill('SIGKILL')
  }
}

export async function makeBed(): Promise<Bed> {
  const claim = await claimMachine()
  const composition = await readComposition()
  const making = new Making(claim, composition)
  const hosts: FleetHost[] = []
  const end = async (): Promise<void> => {
    for (const { daemon } of hosts) await endAll(treeOf(daemon.pid))
    for (const child of making.containers) if (!hasEnded(child)) await endAll(treeOf(child.pid ?? 0))
    await removeNetwork(Object.keys(composition.services))
    await removeUsers()
    claim.release()
  }
  try {
    await makeNetwork(composition.services)
    const { people, account } = await makeUsers()
    await must(['cp', '-r', FILES, making.source])
    await must(['sh', join(making.source, 'secrets.sh')], { env: { ACCEPTD_GID: `${account.gid}` } })
    const key = join(making.source, 'secrets/fleet.key')
    const certificate = await makeCertificate(claim.dir, 'localhost', account)
    const engine = new Engine(making)
    // The one path that differs from that in a container.
    const fleet = readFileSync(join(FILES, 'control/fleet'), 'utf8').replace('/etc/acceptd-fleet.key', key)
    for (const name of HOSTS) hosts.push(await making.host(name, people, account, certificate, fleet))
    const balancer = making.container('balancer')
    const address = addressOf(composition.services['balancer'] as Service)
    const client = () =>
      converseOn(connectTls({ host: address, port: 465, rejectUnauthorized: false }), 'secureConnect', 30_000)
    return {
      people,
      hosts,
      balancer,
      administer: (line) =>
        must(['nsenter', '-t', `${balancer.pid}`, '-m', 'socat', '-', 'UNIX-CONNECT:/run/haproxy/admin.sock'], {
          input: `${line}\n`,
        }),
      client,
      login: async ({ name, password }) => {
        const talk = await client()
        await logIn(talk, name, password)
        return talk
      },
      engine,
      end,
    }
  } catch (error) {
    await end()
    throw error
  }
}
