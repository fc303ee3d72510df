// accept-helper as native/README.md describes it, on a socket of the test; after `ok` the test is the backend.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HelperKind } from '../../src/protocol/helper.ts'
import { askedText } from './inline.ts'
import type { End } from './transcript.ts'

export interface Asked {
  readonly text: string
  readonly session: string
  readonly chain: string
  readonly environment: readonly string[]
  /** Closes the stream if `line` is not `ok ...`; returns the backend's end otherwise. */
  readonly answer: (line: string | undefined) => StreamEnd
}

export interface FakeHelper {
  readonly path: string
  readonly asked: readonly Asked[]
  readonly backends: readonly StreamEnd[]
  /** What came on standing connections after the request. */
  orders: string
  /** Answers every request immediately; undefined: the test answers. */
  answering: ((asked: Asked) => void) | undefined
  readonly close: () => void
}

/** A real stream as a transcript sees it. */
export class StreamEnd implements End {
  private text = ''
  private over = false
  readonly socket: Socket
  /** Called with what each read brings. */
  onText: ((text: string) => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1')
      this.onText?.(bytes.toString('latin1'))
    })
    const end = () => {
      this.over = true
    }
    socket.on('end', end).on('close', end).on('error', end)
  }
  send(text: string): void {
    if (!this.socket.destroyed) this.socket.write(text, 'latin1')
  }
  close(): void {
    this.socket.end()
  }
  reset(): void {
    if (this.socket.remoteAddress === undefined) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }
  heard(): string {
    return this.text
  }
  closed(): boolean {
    return this.over
  }
}

export async function fakeHelper(): Promise<FakeHelper> {
  const dir = mkdtempSync(join(tmpdir(), 'acceptd-helper-'))
  const path = join(dir, 'helper.sock')
  const asked: Asked[] = []
  const backends: StreamEnd[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = Buffer.alloc(0)
    socket.on('error', () => undefined)
    const hear = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return
      socket.off('data', hear)
      const strings = bytes.toString('latin1', 4).split('\0')
      const empty = strings.indexOf('')
      const [kind = '', session = '', chain = '', ...environment] = strings.slice(0, empty)
      const credentials = Buffer.from(strings.slice(empty + 1).join('\0'), 'latin1')
      const one: Asked = {
        text: kind === 'watch' ? 'watch' : askedText(kind as HelperKind, credentials),
        session,
        chain,
        environment,
        answer: (line) => {
          const end = new StreamEnd(socket)
          if (line === undefined) socket.destroy()
          else if (line.startsWith('ok ')) {
            socket.write(`${line}\n`)
            backends.push(end)
          } else socket.end(`${line}\n`)
          return end
        },
      }
      asked.push(one)
      if (kind === 'watch') {
        socket.write('watching\n')
        socket.on('data', (order) => {
          helper.orders += String(order)
        })
        socket.on('end', () => socket.end()).resume()
      }
      helper.answering?.(one)
    }
    socket.on('data', hear)
  })
  await new Promise<void>((resolve) => {
    server.listen(path, 4096, resolve)
  })
  server.unref()
  const helper: FakeHelper = {
    path,
    asked,
    backends,
    orders: '',
    answering: undefined,
    close: () => {
      server.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return helper
}
