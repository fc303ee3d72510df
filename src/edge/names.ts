// Whose a client is, as tcpserver asks: its name by the DNS, and the user of its connection by identd (RFC 1413). Nothing is believed that
// only the client's side says: a name counts if it leads back to the address; what identd says is a text for the chain.

import { promises as dns } from 'node:dns'
import { connect } from 'node:net'
import { isIp, plainIp } from '../protocol/ip.ts'

const LOOKUP_MILLISECONDS = 5000
/** Lookups at the same time; beyond it a client has no name. */
const MOST_AT_ONCE = 500
const IDENT_PORT = 113
/** RFC 1413 section 4: a user is up to 512 octets. */
const LONGEST_ANSWER = 1000

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/i

export interface Names {
  /** The name of the address, or nothing. It never fails. */
  readonly nameOf: (ip: string) => Promise<string>
}

/** `servers` as control/dnsservers has them; none: those of the host. */
export function createNames(servers: readonly string[]): Names {
  const resolver = new dns.Resolver({ timeout: LOOKUP_MILLISECONDS / 2, tries: 1 })
  if (servers.length > 0) resolver.setServers([...servers])
  let looking = 0

  /** tcpserver -p: "remove $TCPREMOTEHOST if none match". */
  async function lookUp(ip: string): Promise<string> {
    const octets = plainIp(ip) ?? []
    const [first = ''] = await resolver.resolvePtr(pointerName(octets))
    const name = first.replace(/\.$/, '')
    if (!HOST_NAME.test(name) || isIp(name) !== 0) return ''
    const addresses = await (octets.length === 4 ? resolver.resolve4(name) : resolver.resolve6(name))
    return addresses.some((each) => plainIp(each)?.join('.') === octets.join('.')) ? name : ''
  }

  return {
    nameOf(ip) {
      if (looking >= MOST_AT_ONCE) return Promise.resolve('')
      looking += 1
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(''), LOOKUP_MILLISECONDS)
        const settle = (name: string) => {
          looking -= 1
          clearTimeout(timer)
          resolve(name)
        }
        lookUp(ip).then(settle, () => settle(''))
      })
    },
  }
}

/** RFC 1035 section 3.5, RFC 3596 section 2.5. */
const pointerName = (octets: readonly number[]): string =>
  octets.length === 4
    ? `${octets.toReversed().join('.')}.in-addr.arpa`
    : `${octets
        .flatMap((octet) => [octet >> 4, octet & 15])
        .toReversed()
        .map((digit) => digit.toString(16))
        .join('.')}.ip6.arpa`

interface Ends {
  readonly peer: { readonly ip: string; readonly port: number }
  readonly local: { readonly ip: string; readonly port: number }
}

/** What the client's identd says of the connection, or nothing. It never fails. */
export function identOf({ peer, local }: Ends, seconds: number, port = IDENT_PORT): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect({ host: peer.ip, port, localAddress: local.ip })
    const settle = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(userIn(heard, peer.port, local.port))
    }
    const timer = setTimeout(settle, seconds * 1000)
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard += text
      if (heard.includes('\n') || heard.length > LONGEST_ANSWER) settle()
    })
    socket.on('error', settle).on('close', settle)
    socket.write(`${peer.port}, ${local.port}\r\n`)
  })
}

/** `40000 , 587 : USERID : UNIX : ann`; a user with anything but printable octets is none. */
function userIn(answer: string, theirs: number, ours: number): string {
  const [, first, second, user = ''] =
    /^\s*(\d+)\s*,\s*(\d+)\s*:\s*USERID\s*:[^:\n]*:\s?([^\r\n]*)\r?\n/i.exec(answer) ?? []
  return Number(first) === theirs && Number(second) === ours && /^[!-~]{1,512}$/.test(user) ? user : ''
}
