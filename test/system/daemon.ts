// The running acceptd of a test: started on an installation, asked over its control socket, stopped with everything below it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Installation } from './installation.ts'
import { endAll, isAlive, picture, signal, treeOf, until } from './processes.ts'

export interface Daemon {
  readonly pid: number
  readonly controlSocket: string
  /** The port of the listener of this name, or of the first one with this chain. */
  readonly port: (name: string) => number
  readonly call: (method: string, params?: Readonly<Record<string, unknown>>) => Promise<unknown>
  /** stdout and stderr so far. */
  readonly log: () => string
  /** INT, or TERM, which lets sessions finish; KILL after ten seconds for whatever is left, and then throws. */
  readonly stop: (how?: 'SIGINT' | 'SIGTERM') => Promise<void>
}

/** One call, one connection, one line each way; an error of the method is thrown as its JSON. */
export async function call(path: string, method: string, params: Readonly<Record<string, unknown>>): Promise<unknown> {
  const socket = connect(path)
  let line = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    line += text
    if (line.includes('\n')) socket.end()
  })
  socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`)
  await once(socket, 'close')
  const answer: unknown = JSON.parse(line)
  if (typeof answer === 'object' && answer !== null && 'result' in answer) return answer.result
  throw new Error(`${method}: ${line.trim()}`)
}

interface Listening {
  readonly name: string
  readonly chain: string
  readonly port: number
}

function listenersOf(answer: unknown): readonly Listening[] {
  const list = typeof answer === 'object' && answer !== null && 'listeners' in answer ? answer.listeners : undefined
  if (!Array.isArray(list)) throw new Error(`no listeners in ${JSON.stringify(answer)}`)
  return list.map((one: unknown) => {
    if (typeof one !== 'object' || one === null || !('name' in one && 'chain' in one && 'port' in one))
      throw new Error(`not a listener: ${JSON.stringify(one)}`)
    return { name: String(one.name), chain: String(one.chain), port: Number(one.port) }
  })
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

export interface Start {
  /** What runs it in its own process, e.g. `/usr/bin/nice`. */
  readonly under?: readonly string[]
  readonly path?: string
  /** Standard error, instead of a pipe to us: log() stays empty. */
  readonly stderr?: number
}

/** Starts it as root on `lines` of control/listeners, e.g. `127.0.0.1:0 smtp postfix`, and waits until it answers. */
export async function startDaemon(
  place: Installation,
  lines: readonly string[],
  { under = [], path = '/usr/sbin:/usr/bin:/sbin:/bin', stderr }: Start = {},
): Promise<Daemon> {
  place.write('listeners', `${lines.join('\n')}\n`)
  const [program, ...argv] = [...under, join(place.programs, 'acceptd'), '--control', place.control, '--run', place.run]
  const child = spawn(program, argv, {
    cwd: '/',
    stdio: ['ignore', 'pipe', stderr ?? 'pipe'],
    env: { PATH: path, NODE_OPTIONS: '--inspect-port=0', ACCEPTD_TEST_RUN: process.env['ACCEPTD_TEST_RUN'] },
  })
  const pid = child.pid ?? 0
  let log = ''
  const hear = (text: string): void => {
    log += text
  }
  child.stdout?.setEncoding('utf8').on('data', hear)
  child.stderr?.setEncoding('utf8').on('data', hear)
  child.on('error', (error) => hear(`${error.message}\n`))
  const controlSocket = join(place.run, 'control.sock')
  const listening = await until(
    'acceptd to answer',
    async () => {
      if (pid === 0 || hasEnded(child)) throw new Error(`acceptd ended: ${child.exitCode ?? child.signalCode}\n${log}`)
      const list = await call(controlSocket, 'listener.list', {}).catch(() => undefined)
      return list === undefined ? undefined : listenersOf(list)
    },
    { timeout: 20_000, show: () => `${picture(treeOf(pid))}\n${log}` },
  )
  return {
    pid,
    controlSocket,
    port: (name) => {
      const found = listening.find((one) => one.name === name) ?? listening.find((one) => one.chain === name)
      if (found === undefined) throw new Error(`no listener ${name}: ${JSON.stringify(listening)}`)
      return found.port
    },
    call: (method, params = {}) => call(controlSocket, method, params),
    log: () => log,
    stop: async (how = 'SIGINT') => {
      const all = treeOf(pid)
      signal(pid, how)
      const left = () => all.filter((one) => isAlive(one.pid))
      const ended = await until('its end', () => left().length === 0).then(
        () => true,
        () => false,
      )
      const stayed = picture(left())
      await endAll(left())
      if (!ended) throw new Error(`ten seconds after ${how} there were still:\n${stayed}\n${log}`)
    },
  }
}
