// One question to acceptd's control socket: a JSON-RPC request and its answer, a line each.
import { connect } from 'node:net'

export interface ControlAnswer {
  readonly result?: unknown
  readonly error?: string
}

export function askControl(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<ControlAnswer> {
  return new Promise((resolve) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8')
    socket.on('error', (error) => resolve({ error: error.message }))
    socket.on('close', () => resolve({ error: 'closed without an answer' }))
    socket.on('data', (piece: string) => {
      text += piece
      if (!text.includes('\n')) return
      socket.destroy()
      const answer: { result?: unknown; error?: { message: string } } = JSON.parse(text)
      resolve(answer.error ? { error: answer.error.message } : { result: answer.result })
    })
    socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`)
  })
}
