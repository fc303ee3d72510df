// Reading a PROXY header off a socket, before anybody else hears it. What the client sent after it stays in the socket.

import { concat, copyOf, NO_BYTES } from '../protocol/bytes.ts'
import { type ProxyHeader, parseProxyHeader } from '../protocol/proxy.ts'
import type { ClientSocket } from './listening.ts'

/** With room for the TLVs that balancers send. */
export const PROXY_HEADER_OCTETS = 4096
const HEADER_MILLISECONDS = 10_000

/** `done` is called once, with the header or with what is wrong; the socket is closed then. */
export function readProxyHeader(
  socket: ClientSocket,
  limit: number,
  done: (outcome: ProxyHeader | string) => void,
): void {
  let read = NO_BYTES
  const timer = setTimeout(() => settle('no PROXY header in 10 seconds'), HEADER_MILLISECONDS)
  const gone = () => settle('closed before its PROXY header')
  const hear = (bytes: Buffer) => {
    read = concat([read, copyOf(bytes)])
    const parsed = parseProxyHeader(read, limit)
    if (parsed.kind === 'bad') settle(parsed.problem)
    else if (parsed.kind === 'header') settle(parsed.header, read.subarray(parsed.next))
  }
  function settle(outcome: ProxyHeader | string, rest = NO_BYTES): void {
    clearTimeout(timer)
    socket.off('data', hear).off('end', gone).off('error', gone).off('close', gone)
    if (typeof outcome === 'string') {
      // Without a listener an error would end the lane.
      socket.on('error', () => undefined)
      socket.destroy()
    } else {
      socket.pause()
      if (rest.length > 0) socket.unshift(rest)
    }
    done(outcome)
  }
  socket.on('data', hear).on('end', gone).on('error', gone).on('close', gone)
}
