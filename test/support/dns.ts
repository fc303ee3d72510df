// The test's own DNS server: it answers with the given records, and not at all for names that are to wait.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface DnsServer {
  /** ADDRESS:PORT */
  readonly address: string
  readonly asked: readonly string[]
  readonly close: () => void
}

const TYPES: Readonly<Record<number, string>> = { 1: 'A', 12: 'PTR', 28: 'AAAA' }

const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ])

function decodeName(message: Buffer, from: number): readonly [name: string, next: number] {
  const labels: string[] = []
  let at = from
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return [labels.join('.'), at + 1]
}

const encodeData = (type: string, value: string): Buffer =>
  type === 'PTR' ? encodeName(value) : Buffer.from(value.split('.').map(Number))

/** Records by `PTR 1.0.0.127.in-addr.arpa` or `A client.example`; null: no answer ever comes; without a record there is no such name. */
export async function startDns(records: Readonly<Record<string, string | null>>): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (message, peer) => {
    const [name, next] = decodeName(message, 12)
    const type = TYPES[message.readUInt16BE(next)] ?? ''
    const key = `${type} ${name.toLowerCase()}`
    asked.push(key)
    const value = records[key]
    if (value === null) return
    const head = Buffer.from(message.subarray(0, 12))
    // An answer, authoritative, recursion available; 3: there is no such name.
    head.writeUInt16BE(value === undefined ? 0x85_83 : 0x85_80, 2)
    head.writeUInt16BE(value === undefined ? 0 : 1, 6)
    head.writeUInt32BE(0, 8)
    const data = value === undefined ? Buffer.alloc(0) : encodeData(type, value)
    const answer = Buffer.alloc(12)
    answer.writeUInt16BE(0xc0_0c, 0)
    message.copy(answer, 2, next, next + 4)
    answer.writeUInt32BE(60, 6)
    answer.writeUInt16BE(data.length, 10)
    const parts = value === undefined ? [] : [answer, data]
    socket.send(Buffer.concat([head, message.subarray(12, next + 4), ...parts]), peer.port, peer.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { address: `127.0.0.1:${socket.address().port}`, asked, close: () => socket.close() }
}
