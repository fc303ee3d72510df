// Listening descriptors on their way from acceptd, which holds the sockets, to the runtime, whose lanes close what they have had.
//
//   acceptd   stdio of the runtime: enough for its lanes and some replacements   <-   { descriptors: { listener, count } }
//             one message with a duplicate for each that is asked for            ->   { descriptor: listener }
//             it closes its own                                                  <-   { stopping: true }
//
// Once all of them are closed the kernel refuses clients, unless a service manager has the sockets, too: then they wait there.

import type { ChildProcess, SendHandle } from 'node:child_process'
import { closeSync } from 'node:fs'
import net from 'node:net'

/** More than one, since libuv accepts about one client a turn and descriptor. */
export const DESCRIPTORS_A_LANE = 3

/** Lanes that can be replaced before acceptd has to be asked. */
const SPARE_LANES = 12

/** Of each listener, at the runtime's start. */
export const descriptorsAtStart = (lanes: number): number => DESCRIPTORS_A_LANE * (lanes + SPARE_LANES)

interface Wanted {
  readonly descriptors: { readonly listener: number; readonly count: number }
}

const internals = net as unknown as {
  _createServerHandle(address: null, port: 0, family: -1, fd: number): SendHandle | number
}

/** A bound socket as child_process can send it; undefined if it cannot. It is never listened on here. */
export function socketOn(fd: number): SendHandle | undefined {
  const handle = internals._createServerHandle(null, 0, -1, fd)
  return typeof handle === 'number' ? undefined : handle
}

/** For acceptd: answers the runtime's requests, for as long as there are sockets. */
export function supplyDescriptors(runtime: ChildProcess, sockets: readonly (SendHandle | undefined)[]): void {
  runtime.on('message', (message: unknown) => {
    const { listener, count } = (message as Partial<Wanted>).descriptors ?? { listener: -1, count: 0 }
    const socket = sockets[listener]
    if (socket === undefined) return
    // The kernel makes a new descriptor of each that arrives.
    for (let sent = 0; sent < count && runtime.connected; sent += 1) runtime.send({ descriptor: listener }, socket)
  })
}

export function closeDescriptors(descriptors: Iterable<number>): void {
  for (const fd of descriptors) closeSync(fd)
}

/** For acceptd: `stopping` is called when the runtime takes no more clients, because it was told to end. */
export function hearStopping(runtime: ChildProcess, stopping: () => void): void {
  runtime.on('message', (message: unknown) => {
    if ((message as { readonly stopping?: boolean }).stopping === true) stopping()
  })
}

/** For the runtime. */
export const sayStopping = (): void => tell({ stopping: true })

/** acceptd may have died: its death is heard of elsewhere, and an error that nobody takes would be the runtime's, too. */
const tell = (message: Wanted | { readonly stopping: true }): void =>
  void process.send?.(message, undefined, {}, () => undefined)

/** Asks for descriptors; they come one by one. */
export type RequestDescriptors = (listener: number, count: number) => void

/** For the runtime; undefined where nobody can be asked. */
export function descriptorRequests(got: (listener: number, fd: number) => void): RequestDescriptors | undefined {
  if (process.send === undefined) return undefined
  process.on('message', (message: unknown, handle: unknown) => {
    const { descriptor } = message as { readonly descriptor?: number }
    // The lane that listens on it will close it; this object only brought it, and does nothing more.
    if (descriptor !== undefined) got(descriptor, (handle as { readonly fd: number }).fd)
  })
  process.channel?.unref()
  return (listener, count) => tell({ descriptors: { listener, count } })
}
