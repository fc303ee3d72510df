// packaging/Containerfile without an engine: its stages, executed in a private Debian, step by step, with the rights of packaging/compose.yaml.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { aptEnvironment } from './host.ts'
import { type Claim, TOP } from './machine.ts'
import { until } from './processes.ts'
import { must, type Ran, run } from './run.ts'

export interface Stage {
  readonly base: string
  readonly name: string
  /** Instruction and the rest of its line, continued lines joined. */
  readonly steps: readonly (readonly [string, string])[]
}

export function stagesOf(text: string): readonly Stage[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
  const stages: { base: string; name: string; steps: [string, string][] }[] = []
  for (const line of lines.filter((one) => one !== '')) {
    const [, instruction = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    const [, base, name] = instruction === 'FROM' ? (/^(\S+) AS (\S+)$/.exec(rest) ?? []) : []
    if (base !== undefined && name !== undefined) stages.push({ base, name, steps: [] })
    else if (instruction === '' || stages.length === 0) throw new Error(`Containerfile: ${line}`)
    else stages.at(-1)?.steps.push([instruction, rest])
  }
  return stages
}

export interface Images {
  /** Runs words in an image as RUN would, or, `served`, in the network that the services share. */
  readonly inside: (image: string, words: readonly string[], served?: boolean) => readonly string[]
  /** Runs a program of the machine in that network. */
  readonly beside: (words: readonly string[]) => Promise<Ran>
  /** A script of the machine's sh that sees the images, in directories of their names. */
  readonly outside: (script: string) => Promise<string>
  readonly build: (stage: Stage) => Promise<void>
  readonly end: () => Promise<void>
}

const MOUNTS = `
set -eu
slim=$1 place=$2
shift 2
mount -t tmpfs -o mode=755 tmpfs "$place"
for image; do
  mkdir "$place/$image" "$place/.$image" "$place/.$image/upper" "$place/.$image/work"
  mount -t overlay -o "lowerdir=$slim,upperdir=$place/.$image/upper,workdir=$place/.$image/work" overlay "$place/$image"
  mount -t proc proc "$place/$image/proc"
  mount --rbind /dev "$place/$image/dev"
  cat /etc/resolv.conf >"$place/$image/etc/resolv.conf"
done
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo ready
exec cat
`

/** Mounts that disappear with a process of ours, in which nothing that is started outlives it. */
export async function makeImages(claim: Claim, names: readonly string[]): Promise<Images> {
  const maker = join(TOP, 'test/system/debian.sh')
  const slim = (await must(['sh', maker, 'slim'], { timeout: 900_000, env: aptEnvironment() })).trim()
  const place = join(claim.dir, 'images')
  mkdirSync(place)
  const options = ['--mount', '--pid', '--net', '--fork', '--kill-child']
  const holder: ChildProcess = spawn('unshare', [...options, 'sh', '-c', MOUNTS, 'sh', slim, place, ...names], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout ?? holder, 'data')
  const leader = await until(
    'the mounts',
    () => readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'latin1').trim() || undefined,
  )
  const root = (image: string): string => join(place, image)
  const enter = (spaces: string): readonly string[] => ['nsenter', '-t', leader, ...spaces.split(' ')]
  const settings = Object.entries({
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...aptEnvironment(),
  }).map(([name, value]) => `${name}=${value}`)
  const inside: Images['inside'] = (image, words, served = false) => [
    ...enter(served ? '-m -p -n' : '-m -p'),
    'chroot',
    root(image),
    'env',
    '-i',
    ...settings,
    ...words,
  ]
  const step = async (image: string, args: readonly string[], [instruction, rest]: readonly [string, string]) => {
    if (instruction === 'RUN') await must(inside(image, [...args, 'sh', '-ec', rest]), { timeout: 600_000 })
    else if (instruction === 'COPY') {
      const [, mode = '', from = '', to = ''] = /^(?:--chmod=(\d+) )?(\S+) (\/\S*)$/.exec(rest) ?? []
      const script = `cd '${TOP}'; mkdir -p "$1$2"; for file in ${from}; do install -m ${mode || '644'} "$file" "$1$2"; done`
      await must([...enter('-m'), 'sh', '-ec', script, 'sh', root(image), to])
    } else if (!['ARG', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT'].includes(instruction))
      throw new Error(`Containerfile: ${instruction} is nothing that this test can do`)
  }
  return {
    inside,
    outside: (script) => must([...enter('-m'), 'sh', '-ec', `cd '${place}'\n${script}`]),
    beside: (words) => run([...enter('-n'), ...words]),
    build: async ({ name, steps }) => {
      const args = steps.filter(([instruction]) => instruction === 'ARG').map(([, rest]) => rest)
      for (const one of steps) await step(name, ['env', ...args], one)
    },
    end: async () => {
      if (holder.exitCode !== null) return
      holder.stdin?.end()
      await once(holder, 'exit')
    },
  }
}
