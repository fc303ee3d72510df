// What acceptd takes from Node's inside, where its public interfaces have no such thing. A Node that has dropped some of it is served all the
// same, by public interfaces; acceptd says so at its start.

import net, { type Socket } from 'node:net'

export interface ListenHandle {
  onconnection: (status: number, client: ClientHandle | undefined) => void
  listen(backlog: number): number
  readStart(): number
  readStop(): number
  close(): void
}

export interface ClientHandle {
  setNoDelay(on: boolean): void
}

interface Internals {
  /** What net.Server is made of. That makes its sockets itself, without a way to say into which memory they read. */
  readonly _createServerHandle?: (
    address: string | null,
    port: number,
    family: 4 | -1,
    fd?: number,
  ) => ListenHandle | number
  readonly Socket: new (options: object) => Socket & { readonly _handle?: unknown }
}

const internals = net as unknown as Internals

/** A handle that listens on a descriptor, or the number of an error. */
export const listenHandle = (fd: number): ListenHandle | number =>
  internals._createServerHandle?.(null, 0, -1, fd) ?? -1

/** libuv has no call to accept no more: that a handle stops reading stops its polling, and `listen` begins it again. */
export function stopAccepting(handle: ListenHandle): void {
  handle.readStart()
  handle.readStop()
}

export const socketOf = (handle: ClientHandle, options: object): Socket => new internals.Socket({ ...options, handle })

const PUBLIC = 'public'

function probe(): string | undefined {
  if (process.env['ACCEPTD_LISTEN'] === PUBLIC) return 'ACCEPTD_LISTEN asks for it'
  if (typeof internals._createServerHandle !== 'function') return 'this Node has no net._createServerHandle'
  const handle = internals._createServerHandle('127.0.0.1', 0, 4)
  if (typeof handle !== 'object') return 'net._createServerHandle of this Node makes no handle'
  const lacks = (['listen', 'readStart', 'readStop', 'close'] as const).find(
    (name) => typeof handle[name] !== 'function',
  )
  if (lacks !== undefined) return `the listening handles of this Node have no ${lacks}`
  const socket = new internals.Socket({ handle, manualStart: true })
  const taken = socket._handle === handle
  socket.destroy()
  if (!taken) handle.close()
  return taken ? undefined : 'net.Socket of this Node takes no handle'
}

let probed: { readonly why: string | undefined } | undefined

/** Why lanes listen through public interfaces, which costs memory and time for each read; undefined if they do not. */
export function onlyPublic(): string | undefined {
  probed ??= { why: probe() }
  return probed.why
}

/** Why a client's certificate was not verified, in OpenSSL's word; empty: it was. Without a word from Node no certificate counts. */
export function verifyProblem(secured: object): string {
  const { ssl }: { ssl?: { verifyError?: () => { code?: string } | null | undefined } | null } = secured
  if (typeof ssl?.verifyError !== 'function') return 'unknown'
  const error = ssl.verifyError()
  return error ? (error.code ?? 'unknown') : ''
}

/**
 * Whether a stream's open file blocks, for other processes that share it: libuv has made it non-blocking, and Node has no fcntl. Without this
 * such a process has to cope with EAGAIN.
 */
export function setBlocking(stream: object | undefined, on: boolean): void {
  const { _handle: handle }: { _handle?: { setBlocking?: (on: boolean) => unknown } | null } = stream ?? {}
  handle?.setBlocking?.(on)
}
