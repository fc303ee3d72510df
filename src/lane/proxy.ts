// The step of the door that reads a balancer's PROXY header: from peers that proxy= of the listener names it must come, and first.

import { PROXY_HEADER_OCTETS, readProxyHeader } from '../edge/proxy.ts'
import { NO_CLIENT, type TlsFacts } from '../edge/tls.ts'
import { isInside } from '../protocol/ip.ts'
import type { ProxyHeader } from '../protocol/proxy.ts'
import type { Arrival, Step } from '../session/door.ts'
import type { Lane } from './state.ts'

export const proxyHeader =
  (lane: Lane): Step =>
  (arrival, next) => {
    const { socket, settings, peer } = arrival
    if (!isInside(settings.proxies, peer.ip)) {
      next(arrival)
      return
    }
    readProxyHeader(socket, PROXY_HEADER_OCTETS, (outcome) => {
      if (typeof outcome !== 'string') {
        next(described(arrival, outcome))
        return
      }
      lane.reporter.log('warn', 'proxy-header-refused', { ...peer, listener: settings.listener, why: outcome })
      next({ refused: 'proxy', gone: true })
    })
  }

/** The arrival as the balancer describes it; of its own connections (health checks) it describes nothing. */
function described(arrival: Arrival, { client, tls, authority }: ProxyHeader): Arrival {
  if (client === undefined) return arrival
  const facts: TlsFacts | undefined =
    tls === undefined
      ? undefined
      : {
          protocol: tls.version,
          cipher: tls.cipher,
          serverName: authority,
          resumed: false,
          clientName: tls.clientName,
          ...NO_CLIENT,
        }
  return { ...arrival, peer: client.peer, local: () => client.local, proxy: arrival.peer, tls: facts }
}
