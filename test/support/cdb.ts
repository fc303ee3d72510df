// Writes a cdb, record after record, as cdbmake does.

export function cdbOf(records: readonly (readonly [key: string, data: string])[]): Uint8Array {
  const tables: { hash: number; position: number }[][] = Array.from({ length: 256 }, () => [])
  const parts: Buffer[] = []
  let position = 2048
  for (const [key, data] of records) {
    const [first, second] = [Buffer.from(key, 'latin1'), Buffer.from(data, 'latin1')]
    const hash = first.reduce((before, octet) => (((before * 33) % 2 ** 32) ^ octet) >>> 0, 5381)
    tables[hash & 255]?.push({ hash, position })
    parts.push(numbers(first.length, second.length), first, second)
    position += 8 + first.length + second.length
  }
  const header: Buffer[] = []
  for (const rows of tables) {
    const slots = Array.from({ length: rows.length * 2 }, () => ({ hash: 0, position: 0 }))
    for (const row of rows) {
      let at = (row.hash >>> 8) % slots.length
      while (slots[at]?.position !== 0) at = (at + 1) % slots.length
      slots[at] = row
    }
    header.push(numbers(position, slots.length))
    parts.push(...slots.map((slot) => numbers(slot.hash, slot.position)))
    position += slots.length * 8
  }
  return Buffer.concat([...header, ...parts])
}

function numbers(first: number, second: number): Buffer {
  const octets = Buffer.alloc(8)
  octets.writeUInt32LE(first, 0)
  octets.writeUInt32LE(second, 4)
  return octets
}
