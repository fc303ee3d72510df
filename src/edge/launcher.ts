// The two steps that native/acceptd.c runs this program for: to plan what it shall bind, then, with that bound, to serve. Root or not, it
// is the account by then.

/** Of control/listeners. */
export interface ListenerAddress {
  readonly address: string
  readonly port: number
}

/** A bound socket, not listening yet. */
export interface Bound {
  readonly fd: number
  /** The port in use, also where 0 was asked for. */
  readonly port: number
}

export type Launch =
  /** `problem`: why root cannot become the account, if everything else is well. */
  | { readonly step: 'plan'; readonly root: boolean; readonly problem: string | undefined }
  | { readonly step: 'serve'; readonly root: boolean; readonly bound: readonly (ListenerAddress & { got: Bound })[] }

/** Where a plan is written to. */
export const PLAN_FD = 3
const FIRST_BOUND_FD = 3

/** `text` is ACCEPTD_LAUNCHER; undefined if the launcher has not written it. */
export function parseLaunch(text: string): Launch | undefined {
  const [, who, step, rest = ''] = /^(root|user) (plan|serve)(?: (.*))?$/.exec(text) ?? []
  const root = who === 'root'
  if (step === 'plan') return { step, root, problem: rest === '' ? undefined : rest }
  if (step !== 'serve') return undefined
  const bound = rest.split(',').map((one, i) => {
    const [address = '', port, got] = one.split(' ')
    return { address, port: Number(port), got: { fd: FIRST_BOUND_FD + i, port: Number(got) } }
  })
  return { step, root, bound }
}

const isIpv6 = (address: string): boolean => address.includes(':')

/** [::], the only address that can take IPv4 too, does so unless an IPv4 address has the same port. */
export const isIpv6Only = ({ port }: ListenerAddress, all: readonly ListenerAddress[]): boolean =>
  port !== 0 && all.some((other) => other.port === port && !isIpv6(other.address))

const familyOf = (one: ListenerAddress, all: readonly ListenerAddress[]): string =>
  isIpv6(one.address) ? (isIpv6Only(one, all) ? '6' : '46') : '4'

/** In LISTEN_FDNAMES a colon ends a name. */
const descriptorName = (listener: string): string => listener.replaceAll(':', '-')

/** FAMILY ADDRESS PORT NAME for each listener; the family is 4, 6, or 46 for both, the name that of a descriptor that a service manager has opened. */
export const planText = (listeners: readonly (ListenerAddress & { readonly name: string })[]): string =>
  listeners
    .map((one) => `${familyOf(one, listeners)} ${one.address} ${one.port} ${descriptorName(one.name)}\n`)
    .join('')
