// Bound, not yet listening sockets for the lanes of a test, as native/acceptd.c makes them. A net.Server would accept.

import net from 'node:net'

interface Handle {
  readonly fd: number
  getsockname(out: { address?: string; port?: number }): number
  close(): void
}

/** node:net has had this since cluster needed it; it binds without listening. */
const internals = net as unknown as {
  _createServerHandle(address: string, port: number, family: 4 | 6, fd?: number, flags?: number): Handle | number
}

/** libuv's UV_TCP_IPV6ONLY. It sets the option either way, so net.ipv6.bindv6only of the host says nothing. */
const IPV6_ONLY = 1

export interface Bound {
  readonly fd: number
  /** The port in use, also where 0 was asked for. */
  readonly port: number
  readonly close: () => void
}

/** Binds; undefined if the address is taken or not ours. */
export function bindAddress(address: string, port: number, ipv6Only = false): Bound | undefined {
  const handle = address.includes(':')
    ? internals._createServerHandle(address, port, 6, undefined, ipv6Only ? IPV6_ONLY : 0)
    : internals._createServerHandle(address, port, 4)
  if (typeof handle === 'number') return undefined
  const name: { address?: string; port?: number } = {}
  // libuv keeps EADDRINUSE for listen(2); a socket that could not be bound has no port.
  if (handle.getsockname(name) !== 0 || !name.port) {
    handle.close()
    return undefined
  }
  return { fd: handle.fd, port: name.port, close: () => handle.close() }
}
