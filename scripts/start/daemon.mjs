// The acceptd of a trial: started, waited for until a stranger could use it, and ended with everything below it.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { giveUp } from './say.mjs'

// ---- ports

/** undefined, or why nobody can listen there. */
async function objectionToPort(port) {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    return error.code
  }
  server.close()
  await once(server, 'close')
  return undefined
}

/** The first free port from `wanted` on, and not `other`. */
export async function freePort(wanted, other) {
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

/** The server.info of whoever answers on this control socket. */
export async function serverInfo(path) {
  const socket = connect(path)
  let text = ''
  socket.setEncoding('utf8').setTimeout(5000, () => socket.destroy())
  socket.on('data', (more) => {
    text += more
    if (text.includes('\n')) socket.end()
  })
  socket.write('{"jsonrpc":"2.0","id":1,"method":"server.info","params":{}}\n')
  try {
    await once(socket, 'close')
    return JSON.parse(text).result
  } catch {
    return undefined
  }
}

/** Says each line when an answer to what was said before has come; gives the answers, fewer if the other side ends early. */
async function dialogue(port, lines) {
  const answers = []
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const left = [...lines]
  socket.setEncoding('latin1').setTimeout(10_000, () => socket.destroy())
  socket.on('error', () => undefined)
  socket.on('data', (more) => {
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

/** A sentence about what is wrong from where a client stands, or undefined. `log in`: as the demo user, through helper and backend. */
export async function troubleOf(listeners, logIn) {
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

/** pid -> start time, of a process and all below it; two processes of one number differ in it. */
function treeOf(pid) {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statOf(Number(name))
      return stat === undefined ? [] : [{ pid: Number(name), ...stat }]
    })
  const tree = new Map()
  const add = (one) => {
    tree.set(one.pid, one.started)
    for (const child of all) if (child.parent === one.pid) add(child)
  }
  for (const one of all) if (one.pid === pid) add(one)
  return tree
}

function statOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[0] === 'Z' ? undefined : { parent: Number(fields[1]), started: fields[19] }
  } catch {
    return undefined // it has ended
  }
}

const left = (tree) => [...tree].filter(([pid, started]) => statOf(pid)?.started === started).map(([pid]) => pid)

/** `acceptd --check`: what it said, and whether all is well. */
export function check({ program, node }, args) {
  const ran = spawnSync(node, [join(program, 'dist/programs/acceptd'), ...args, '--check'], {
    cwd: '/',
    env: {},
    encoding: 'utf8',
  })
  return { ok: ran.status === 0, said: `${ran.stdout}${ran.stderr}`.trim() }
}

export class Acceptd {
  #child
  #log = ''
  #shown = false
  #tree = new Map()
  #ended

  constructor({ program, node }, args) {
    this.#child = spawn(node, [join(program, 'dist/programs/acceptd'), ...args], {
      cwd: '/',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
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

  get pid() {
    return this.#child.pid
  }

  /** Its exit code, once it has ended. */
  get ended() {
    return this.#ended
  }

  get isRunning() {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** What it has logged, and no more of it is shown unless `showLog` is called. */
  get log() {
    return this.#log
  }

  showLog() {
    this.#shown = true
  }

  /** Its server.info, as soon as it answers. */
  async answer(socket) {
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

  /** Ends it and whatever it has started: asked first, then told, then killed. */
  async stop() {
    const tree = new Map([...this.#tree, ...treeOf(this.pid)])
    if (this.isRunning) this.#child.kill('SIGINT')
    const steps = [
      { patience: 9000, next: 'SIGTERM' },
      { patience: 2000, next: 'SIGKILL' },
      { patience: 5000, next: 'SIGKILL' },
    ]
    for (const { patience, next } of steps) {
      const deadline = Date.now() + patience
      while (left(tree).length > 0 && Date.now() < deadline) await sleep(30)
      for (const pid of left(tree)) end(pid, next)
    }
    if (this.pid !== undefined) await this.#ended
  }
}

function end(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself meanwhile.
  }
}
