// A real HAProxy in front of a listener.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { bindAddress } from '../support/binding.ts'
import { until } from '../support/until.ts'

/** In TCP mode in front of `port`, its configuration in `dir`; returns its own port. */
export async function haproxy(
  t: { after: (f: () => Promise<void>) => void },
  dir: string,
  port: number,
  bind: string,
  send: string,
): Promise<number> {
  const free = bindAddress('127.0.0.1', 0)
  assert.ok(free !== undefined)
  free.close()
  const file = join(dir, `haproxy-${port}.cfg`)
  writeFileSync(
    file,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen mail
  bind 127.0.0.1:${free.port} ${bind}
  server acceptd 127.0.0.1:${port} ${send}
`,
  )
  const child: ChildProcess = spawn('/usr/sbin/haproxy', ['-db', '-f', file], { stdio: 'ignore' })
  t.after(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await until(
    'HAProxy',
    () =>
      new Promise((resolve) => {
        const socket = connect(free.port, '127.0.0.1')
        const settle = (is: boolean) => {
          socket.destroy()
          resolve(is)
        }
        socket.once('connect', () => settle(true)).once('error', () => settle(false))
      }),
  )
  return free.port
}
