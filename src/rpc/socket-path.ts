// The path of a control socket: another process's live socket is left alone, a dead one replaced, and ours appears complete.

import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, renameSync, unlinkSync } from 'node:fs'
import type { Server as HttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import type { Level } from './row.ts'

export interface SocketPath {
  readonly path: string
  readonly level: Level
  /** Of the socket; left out, the process's. */
  readonly gid?: number
  /** A live one of the runtime before is replaced. */
  readonly replaces?: boolean
}

export interface Listening {
  /** The path, or host:port with the port that was bound. */
  readonly address: string
  /** Another runtime takes over: listens no more, where only one can. */
  release(): Promise<void>
  /** It does not. */
  reclaim(): Promise<void>
  close(): Promise<void>
}

export interface BoundSocket {
  readonly server: Server
  readonly inode: number
}

/** Bound under a temporary name, given its modes, and only then renamed into place, so that no client sees it incomplete. */
export async function bindAt(
  { path, level, gid, replaces = false }: SocketPath,
  accept: (socket: Socket) => void,
  failed: (error: Error) => void,
): Promise<Result<BoundSocket, RpcFailure>> {
  const claimed = await claim(path, replaces)
  if (claimed.isErr()) return err(claimed.error)
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, accept)
  const own = `${path}.${process.pid}`
  const bound = await listen(server, { path: own })
  if (bound.isErr()) return err(bound.error)
  const placed = attempt(path, () => {
    chmodSync(own, level === 'control' ? 0o600 : 0o660)
    if (gid !== undefined) chownSync(own, process.getuid?.() ?? 0, gid)
    if (replaces) renameSync(own, path)
    else replaceDead(own, path, claimed.value)
    return lstatSync(path).ino
  })
  attempt(own, () => unlinkSync(own))
  if (placed.isErr()) {
    server.close()
    return err(placed.error)
  }
  server.on('error', failed)
  return ok({ server, inode: placed.value })
}

/** The inode of a dead socket at this path, undefined if there is nothing; refuses what is alive or no socket. */
async function claim(path: string, replaces: boolean): Promise<Result<number | undefined, RpcFailure>> {
  const directory = dirname(path)
  const made = attempt(directory, () => {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { mode } = lstatSync(directory)
    if ((mode & 0o022) !== 0)
      throw new Error(`${directory} is writable by others, who could put their own socket there`)
  })
  if (made.isErr()) return err(made.error)
  const there = attempt(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (there.isErr()) return err(there.error)
  if (there.value === undefined) return ok(undefined)
  if (!there.value.isSocket())
    return err({ failure: 'io', reason: 'not-a-socket', message: `${path} exists and is not a socket` })
  if (!replaces && (await isAlive(path))) return err(inUse(path))
  return ok(there.value.ino)
}

function inUse(path: string): RpcFailure {
  return { failure: 'busy', reason: 'socket-in-use', message: `${path} is answered by another process` }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (alive: boolean) => {
      socket.destroy()
      resolve(alive)
    }
    socket.on('connect', () => done(true))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}

/** Puts `own` at `path`. Two who found the same dead socket do not both win: what is moved away must be the dead one. */
function replaceDead(own: string, path: string, dead: number | undefined): void {
  if (dead !== undefined) {
    const aside = `${own}.old`
    renameSync(path, aside)
    if (lstatSync(aside).ino !== dead) {
      renameSync(aside, path)
      throw new Error(`${path} was taken by another process`)
    }
    unlinkSync(aside)
  }
  linkSync(own, path)
}

export function attempt<T>(path: string, action: () => T): Result<T, RpcFailure> {
  try {
    return ok(action())
  } catch (error) {
    return err(ioFailure(path, error))
  }
}

function ioFailure(path: string, error: unknown): RpcFailure {
  const text = error instanceof Error ? error.message : String(error)
  return { failure: 'io', reason: 'io', message: `${path}: ${text}` }
}

export function listen(
  server: Server | HttpServer,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<Result<undefined, RpcFailure>> {
  return new Promise((resolve) => {
    const failed = (error: Error) =>
      resolve(err(ioFailure('path' in where ? where.path : `${where.host}:${where.port}`, error)))
    server.once('error', failed)
    server.listen(where, () => {
      server.off('error', failed)
      resolve(ok(undefined))
    })
  })
}
