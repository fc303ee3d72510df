// Values that are forgotten after their time, so many at most: the one that was kept first gives way.

interface Kept<V> {
  readonly value: V
  readonly ends: number
}

export interface Expiring<V> {
  readonly most: number
  readonly values: Map<string, Kept<V>>
  /** Goes from the oldest to the newest: a new iterator would step over all that was deleted before. */
  hand: Iterator<string>
}

export function newExpiring<V>(most: number): Expiring<V> {
  const values = new Map<string, Kept<V>>()
  return { most, values, hand: values.keys() }
}

/** Times are milliseconds of the monotonic clock. */
export function recall<V>({ values }: Expiring<V>, key: string, now: number): V | undefined {
  const found = values.get(key)
  return found === undefined || found.ends <= now ? undefined : found.value
}

export function keep<V>(table: Expiring<V>, key: string, value: V, ends: number): void {
  const { most, values } = table
  values.delete(key)
  if (values.size >= most) {
    let next = table.hand.next()
    if (next.done === true) {
      table.hand = values.keys()
      next = table.hand.next()
    }
    if (next.done !== true) values.delete(next.value)
  }
  values.set(key, { value, ends })
}

export function expire<V>({ values }: Expiring<V>, now: number): void {
  for (const [key, { ends }] of values) if (ends <= now) values.delete(key)
}
