// A client for tests: lines in, lines out, over a real socket.
import { connect, type Socket } from 'node:net'

// biome-ignore lint/suspicious/noExplicitAny: replies are looked at freely
export type Json = any

export interface Wire {
  readonly socket: Socket
  write(text: string | Uint8Array): void
  /** The next line, parsed; undefined when the connection has ended. */
  next(): Promise<Json>
  call(method: string, params?: unknown): Promise<Json>
  end(): void
}

export function wire(path: string): Wire {
  const socket = connect({ path, allowHalfOpen: true })
  let text = ''
  let ended = false
  const lines: Json[] = []
  let wake: (() => void) | undefined
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const parts = chunk.split('\n')
    parts[0] = text + (parts[0] ?? '')
    text = parts.pop() ?? ''
    for (const part of parts) lines.push(JSON.parse(part))
    wake?.()
  })
  const end = () => {
    ended = true
    wake?.()
  }
  socket.on('end', end)
  socket.on('close', end)
  socket.on('error', end)
  let id = 0
  const next = async (): Promise<Json> => {
    // oxlint-disable-next-line no-unmodified-loop-condition -- modified when the connection ends
    while (lines.length === 0 && !ended)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    return lines.shift()
  }
  return {
    socket,
    write: (data) => void socket.write(data),
    next,
    call: (method, params) => {
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params })}\n`)
      return next()
    },
    end: () => void socket.end(),
  }
}
