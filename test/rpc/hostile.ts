// What nobody should send to a control socket, and what must come back nevertheless.
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { within } from '../support/until.ts'

/** Sends the pieces and ends; resolves with all that came back when the connection has closed, rejects if that takes too long. */
export async function exchange(path: string, pieces: readonly Uint8Array[], timeout = 5000): Promise<string> {
  const socket = connect(path)
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.on('close', resolve))
  for (const piece of pieces) socket.write(piece)
  socket.end()
  await within('an answer or the end', closed, timeout)
  return text
}

/** Every line that came back is a JSON-RPC response or a batch of them, unless it is HTTP. */
export function assertAnswers(text: string): void {
  if (text.startsWith('HTTP/1.1 ')) return
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const value: unknown = JSON.parse(line)
    for (const response of Array.isArray(value) ? value : [value]) {
      assert.equal(response.jsonrpc, '2.0')
      assert.ok('result' in response !== 'error' in response)
    }
  }
}

const deep = 500_000
/** Deep nesting, half requests, malformed HTTP, other protocols. */
export const HOSTILE: readonly string[] = [
  '['.repeat(deep),
  '['.repeat(deep) + ']'.repeat(deep),
  `{"jsonrpc":"2.0","id":1,"method":"session.list","params":{"user":${'['.repeat(deep)}${']'.repeat(deep)}}}`,
  `{"jsonrpc":"2.0","id":${'{"a":'.repeat(1000)}1${'}'.repeat(1000)},"method":"server.ping"}`,
  `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
  '{"jsonrpc":"2.0","id":1,"method":"server.pi',
  'GET / HTTP/1.1',
  'GET / HTTP/1.1\r\n',
  'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{}',
  `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`,
  `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\0'.repeat(1000),
  '\n'.repeat(100_000),
]

/** A client that asks for everything, again and again, and never reads. */
export function deaf(path: string): Socket {
  const socket = connect(path)
  socket.pause()
  socket.on('error', () => {})
  // Every reply may be half a megabyte, the requests after the first wait in the kernel.
  const ask = `{"jsonrpc":"2.0","id":1,"method":"session.list","params":{"limit":1000}}\n`
  socket.write('{"jsonrpc":"2.0","id":1,"method":"event.subscribe"}\n'.repeat(8))
  for (let n = 0; n < 50; n++) socket.write(ask)
  return socket
}
