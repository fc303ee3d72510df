// The step of the door that asks who a client is, where control/remotehost or control/remoteinfo say so. Only this client waits.

import { createNames, identOf, type Names } from '../edge/names.ts'
import type { Step } from '../session/door.ts'
import type { Lane } from './state.ts'

export function named(lane: Lane): Step {
  let names: Names | undefined
  let servers = ''
  /** Those of control/dnsservers. */
  const current = (wanted: readonly string[]): Names => {
    if (names === undefined || servers !== wanted.join(' ')) names = createNames(wanted)
    servers = wanted.join(' ')
    return names
  }
  return (arrival, pass) => {
    const { remoteHost, remoteInfo, dnsServers } = lane.generations.published().config
    if (!remoteHost && remoteInfo === 0) {
      pass(arrival)
      return
    }
    const { socket, peer, local } = arrival
    const lost = () => undefined
    // As in limits.ts.
    socket.on('error', lost).pause()
    // A balancer is no host for the client's identd.
    const asks = remoteInfo > 0 && arrival.proxy === undefined
    const host = remoteHost ? current(dnsServers).nameOf(peer.ip) : ''
    const info = asks ? identOf({ peer, local: local() }, remoteInfo) : ''
    void Promise.all([host, info]).then(([name, user]) => {
      socket.off('error', lost)
      if (socket.destroyed) pass({ refused: 'gone', gone: true })
      else pass({ ...arrival, host: name, info: user })
    })
  }
}
