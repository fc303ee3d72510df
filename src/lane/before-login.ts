// Sessions that have not logged in, the oldest first, and how many of them each address has.

import { clientAddress } from '../limits/limit.ts'
import type { ClientSession } from '../session/session.ts'

export class BeforeLogin {
  private readonly addresses = new Map<ClientSession, string>()
  private readonly counts = new Map<string, number>()

  add(session: ClientSession): void {
    const address = clientAddress(session.ip)
    this.addresses.set(session, address)
    this.counts.set(address, (this.counts.get(address) ?? 0) + 1)
  }

  delete(session: ClientSession): void {
    const address = this.addresses.get(session)
    if (address === undefined) return
    this.addresses.delete(session)
    const left = (this.counts.get(address) ?? 0) - 1
    if (left > 0) this.counts.set(address, left)
    else this.counts.delete(address)
  }

  /** How many there are of an address. */
  of(ip: string): number {
    return this.counts.get(clientAddress(ip)) ?? 0
  }

  /** With the address, by which it was counted. */
  oldestFirst(): Iterable<readonly [ClientSession, string]> {
    return this.addresses
  }
}
