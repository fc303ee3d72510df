// Looks at the host as a client, a caller of the helper, or a starter of programs would find it. What cannot be seen is no trouble.

import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { textOf } from '../protocol/bytes.ts'
import { WATCH_REQUEST } from '../protocol/helper.ts'

/** A lane or helper that takes longer is as good as gone to a client. */
const PATIENCE_MILLISECONDS = 2000

/** What is at the path; undefined if nothing is; `unseen` if this account may not know. */
function statOf(path: string): Stats | undefined | 'unseen' {
  try {
    return statSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : 'unseen'
  }
}

/** Why the program cannot be run: a sentence without a full stop. */
export function programTrouble(path: string): string | undefined {
  const found = statOf(path)
  if (found === 'unseen') return undefined
  if (found === undefined) return 'there is no such file'
  if (!found.isFile()) return 'it is not a regular file'
  if ((found.mode & 0o111) === 0) return 'nobody may execute it'
  const interpreter = interpreterOf(path)
  const missing = interpreter !== undefined && statOf(interpreter) === undefined
  return missing ? `there is no ${interpreter}, which is to run it` : undefined
}

/** What the first line of a script names; undefined if it is none, or cannot be read. */
function interpreterOf(path: string): string | undefined {
  try {
    const fd = openSync(path, 'r')
    const bytes = new Uint8Array(256)
    const text = textOf(bytes.subarray(0, readSync(fd, bytes)))
    closeSync(fd)
    return /^#![ \t]*(\/[^\s\0]+)/.exec(text)?.[1]
  } catch {
    return undefined
  }
}

/** Whether a file that is to be read by root is missing. */
export const isMissing = (path: string): boolean => statOf(path) === undefined

/** Why a program has none of root's rights when another account starts it. */
export function setuidTrouble(path: string): string | undefined {
  const found = statOf(path)
  if (found === 'unseen') return undefined
  if (found === undefined) return 'there is no such file'
  return found.uid !== 0 || (found.mode & 0o4000) === 0 ? 'it is not setuid root' : undefined
}

/** Who else could put another folder in the place of this one, which need not be there yet: a sentence without a full stop. */
export function folderTrouble(path: string, root: boolean): string | undefined {
  const found = statOf(path)
  if (found !== undefined && found !== 'unseen') {
    const isSticky = (found.mode & 0o1000) !== 0
    if ((found.mode & (root ? 0o022 : 0o002)) !== 0 && !isSticky)
      return `${path} can be written by others than its owner`
    if (root && found.uid !== 0 && found.uid !== process.getuid?.()) return `${path} belongs to uid ${found.uid}`
  }
  return path === '/' ? undefined : folderTrouble(dirname(path), root)
}

/** Whether this host has the address. */
export function isOurs(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // Anything else, such as a host without IPv6, is said when the real port is bound.
    server.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRNOTAVAIL'))
    server.listen({ host: address, port: 0, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** Why accept-helper does not answer on its socket; undefined if it does. */
export function helperTrouble(path: string): Promise<string | undefined> {
  return answerOf(connect({ path }), WATCH_REQUEST)
}

/** Where a client of this host finds a listener that has every address of its family, or of both. */
const REACHED_AT: Readonly<Record<string, readonly string[]>> = { '0.0.0.0': ['127.0.0.1'], '::': ['::1', '127.0.0.1'] }

/** Why nobody accepts a client there. `announce` hears the port that it will come from, and 0 when it has been there. */
export async function listenerTrouble(
  address: string,
  port: number,
  announce: (from: number) => void,
): Promise<string | undefined> {
  for (const host of REACHED_AT[address] ?? [address]) {
    const from = await freePort(host)
    if (from === undefined) continue
    announce(from)
    const trouble = await answerOf(connect({ host, port, localAddress: host, localPort: from }))
    announce(0)
    // Somebody else took the port in between.
    return trouble === 'EADDRINUSE' ? listenerTrouble(address, port, announce) : trouble
  }
  return 'this host has not the address'
}

function freePort(host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', () => resolve(undefined))
    server.listen({ host, port: 0, exclusive: true }, () => {
      const at = server.address()
      server.close(() => resolve(typeof at === 'object' ? at?.port : undefined))
    })
  })
}

/** Undefined when it has answered; where nothing is asked, a connection that is taken and closed is an answer. */
function answerOf(socket: Socket, question?: Uint8Array): Promise<string | undefined> {
  return new Promise((resolve) => {
    let isTaken = false
    const settle = (trouble: string | undefined) => {
      socket.destroy()
      resolve(trouble)
    }
    const closed = (why: string) => settle(isTaken && question === undefined ? undefined : why)
    socket.setTimeout(PATIENCE_MILLISECONDS, () => settle('no answer in time'))
    socket.on('connect', () => {
      isTaken = true
      if (question !== undefined) socket.write(question)
    })
    socket.on('data', () => settle(undefined))
    socket.on('end', () => closed('it closes the connection'))
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) => closed(code ?? message))
  })
}
