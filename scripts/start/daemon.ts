// The acceptd of a trial: started, awaited until a client could use it, and ended with all its descendants.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Acceptd as Control } from '../../src/client/client.ts'
import { run } from '../command.mjs'
import type { Place } from './place.ts'
import { giveUp } from './say.ts'

// ---- ports

/** undefined, or why nobody can listen there. */
async function objectionToPort(port: number): Promise<string | undefined> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
  server.close()
  await once(server, 'close')
  return undefined
}

/** The first free port from `wanted` on, and not `other`. */
export async function freePort(wanted: number, other?: number): Promise<number> {
  for (let port = wanted; port <= 65_535 && port < wanted + 100; port += 1) {
    const why = port === other ? 'EADDRINUSE' : await objectionToPort(port)
    if (why === undefined) return port
    if (why === 'EACCES')
      giveUp(`only root may listen on port ${port}.`, 'Choose one above 1023: npm start -- --port 2587')
    if (why !== 'EADDRINUSE') giveUp(`127.0.0.1:${port} cannot be listened on (${why}).`)
  }
  giveUp(`the ports from ${wanted} on are all taken.`, 'Choose another: npm start -- --port N')
}

// ---- talking to it

export interface Listener {
  readonly protocol: string
  readonly address: string
  readonly port: number
}

export interface ServerInfo {
  readonly pid: number
  readonly listeners: readonly Listener[]
}

/** The server.info of the daemon that answers on this control socket. */
export async function serverInfo(path: string): Promise<ServerInfo | undefined> {
  const control = new Control({ path, timeout: 5 })
  try {
    return await control.call('server.info')
  } catch {
    return undefined
  } finally {
    control.close()
  }
}

/** Says each line when an answer to what was said before has come; gives the answers, fewer if the other side ends early. */
async function dialogue(port: number, lines: readonly string[]): Promise<readonly string[]> {
  const answers: string[] = []
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const left = [...lines]
  socket.setEncoding('latin1').setTimeout(10_000, () => socket.destroy())
  socket.on('error', () => undefined)
  socket.on('data', (more: string) => {
    text += more
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
      answers.push(text.slice(0, at).trim())
      text = text.slice(at + 1)
      const next = left.shift()
      if (next === undefined) socket.destroy()
      else socket.write(`${next}\r\n`)
    }
  })
  await once(socket, 'close')
  return answers
}

/** What a client would find wrong, as a sentence, or undefined. `logIn`: as the demo user, through helper and backend. */
export async function troubleOf(listeners: readonly Listener[], logIn: boolean): Promise<string | undefined> {
  for (const { protocol, port } of listeners) {
    const [greeting = 'nothing', bye] = await dialogue(port, ['QUIT'])
    if (!greeting.startsWith(protocol === 'smtp' ? '220 ' : '+OK') || bye === undefined)
      return `127.0.0.1:${port} (${protocol}) greets with: ${greeting}`
  }
  const pop3 = listeners.find(({ protocol }) => protocol === 'pop3')
  if (!logIn || pop3 === undefined) return undefined
  const answers = await dialogue(pop3.port, ['USER demo', 'PASS demo', 'QUIT'])
  return answers.length === 4 && answers.every((answer) => answer.startsWith('+OK'))
    ? undefined
    : `the demo user cannot log in by POP3: ${answers.at(-1) ?? 'no answer'}`
}

// ---- its processes

/** pid -> start time of a process and all its descendants; the start time tells two processes with one pid apart. */
type Tree = Map<number, string>

function treeOf(root: number | undefined): Tree {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statOf(Number(name))
      return stat === undefined ? [] : [{ pid: Number(name), ...stat }]
    })
  const tree: Tree = new Map()
  const add = (one: (typeof all)[number]): void => {
    tree.set(one.pid, one.started)
    for (const child of all) if (child.parent === one.pid) add(child)
  }
  for (const one of all) if (one.pid === root) add(one)
  return tree
}

function statOf(pid: number): { readonly parent: number; readonly started: string } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[0] === 'Z' ? undefined : { parent: Number(fields[1]), started: fields[19] ?? '' }
  } catch {
    return undefined // it has ended
  }
}

const left = (tree: Tree): readonly number[] =>
  [...tree].filter(([pid, started]) => statOf(pid)?.started === started).map(([pid]) => pid)

/** `acceptd --check`: what it said, and whether all is well. */
export async function check(
  { program }: Place,
  args: readonly string[],
): Promise<{ readonly ok: boolean; readonly said: string }> {
  const { code, output } = await run(join(program, 'dist/programs/acceptd'), [...args, '--check'], {
    cwd: '/',
    env: {},
  })
  return { ok: code === 0, said: output.trim() }
}

export class Acceptd {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  #log = ''
  #shown = false
  #tree: Tree = new Map()
  readonly #ended: Promise<number>

  constructor({ program }: Place, args: readonly string[]) {
    this.#child = spawn(join(program, 'dist/programs/acceptd'), args, {
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        if (this.#shown) process.stdout.write(text)
        else this.#log += text
      })
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', (error) => {
        this.#log += `${error.message}\n`
        resolve(1)
      })
      this.#child.on('close', (code) => resolve(code ?? 1))
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Its exit code, once it has ended. */
  get ended(): Promise<number> {
    return this.#ended
  }

  get isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What it has logged, and no more of it is shown unless `showLog` is called. */
  get log(): string {
    return this.#log
  }

  showLog(): void {
    this.#shown = true
  }

  /** Its server.info, as soon as it answers. */
  async answer(socket: string): Promise<ServerInfo | undefined> {
    const deadline = Date.now() + 30_000
    while (this.isRunning && Date.now() < deadline) {
      const info = await serverInfo(socket)
      if (info?.pid !== undefined) {
        this.#tree = treeOf(this.pid)
        return info
      }
      await sleep(50)
    }
    return undefined
  }

  /** Ends it and everything that it has started: SIGINT first, then SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    const tree = new Map([...this.#tree, ...treeOf(this.pid)])
    if (this.isRunning) this.#child.kill('SIGINT')
    const steps = [
      { patience: 9000, next: 'SIGTERM' },
      { patience: 2000, next: 'SIGKILL' },
      { patience: 5000, next: 'SIGKILL' },
    ] as const
    for (const { patience, next } of steps) {
      const deadline = Date.now() + patience
      while (left(tree).length > 0 && Date.now() < deadline) await sleep(30)
      for (const pid of left(tree)) end(pid, next)
    }
    if (this.pid !== undefined) await this.#ended
  }
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself meanwhile.
  }
}
