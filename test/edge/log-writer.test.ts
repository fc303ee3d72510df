// A log line that cannot be written is counted and dropped, and reported later; the process goes on, whatever its standard error is.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from '../support/until.ts'

const CHILD = fileURLToPath(new URL('../support/log-child.js', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'acceptd-log-'))
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(dir, { recursive: true })
})

interface Writer {
  /** Writes this many more lines; returns how many it has been asked for, and how many it dropped. */
  readonly write: (lines: number) => Promise<readonly [number, number]>
  readonly child: ChildProcess
}

function start(stderr: number | Socket, uid?: number): Writer {
  const child = spawn(process.execPath, [CHILD], {
    stdio: ['pipe', 'pipe', stderr],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  children.push(child)
  return {
    child,
    write: async (lines) => {
      child.stdin?.write(`${lines}\n`)
      const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer]
      const [n = 0, dropped = 0] = said.toString().trim().split(' ').map(Number)
      return [n, dropped]
    },
  }
}

let fifos = 0
/** Both ends of a pipe; the writing end waits when the pipe is full. */
function pipe(): { readonly reader: number; readonly writer: number } {
  fifos += 1
  const path = join(dir, `pipe${fifos}`)
  assert.equal(spawnSync('mkfifo', [path]).status, 0)
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  rmSync(path)
  return { reader, writer }
}

const some = Buffer.alloc(65_536)
function take(fd: number): string {
  let text = ''
  for (;;) {
    try {
      const octets = readSync(fd, some)
      if (octets === 0) return text
      text += some.toString('latin1', 0, octets)
    } catch {
      return text
    }
  }
}

/** The number of the last line that is there or counted: every line is whole, and those that are missing are counted exactly. */
function accounted(text: string): number {
  let last = 0
  for (const line of text.slice(0, text.lastIndexOf('\n')).split('\n')) {
    const [, word, number] = /^(line|lost) (\d+)( x+)?$/.exec(line) ?? []
    assert.ok(word !== undefined, `not a line: ${line.slice(0, 80)}`)
    if (word === 'lost') last += Number(number)
    else {
      last += 1
      assert.equal(Number(number), last)
    }
  }
  return last
}

/** Reads until all lines up to this one are there or counted. */
async function assertAccounted(text: () => string, last: number): Promise<void> {
  await until(`line ${last}`, () => text().endsWith('\n') && accounted(text()) === last)
}

void describe('log lines', () => {
  // An account that may not reopen root's pipe changes the open file itself.
  const others = process.getuid?.() === 0 ? [undefined, 65_534] : [undefined]
  for (const uid of others)
    void it(`to a pipe whose reader has stopped${uid === undefined ? '' : ', of another user'}, are counted, and reported later`, async () => {
      const { reader, writer } = pipe()
      const log = start(writer, uid)
      const [, before] = await log.write(10)
      assert.equal(before, 0)
      const [, dropped] = await log.write(5000)
      assert.ok(dropped > 3000 && dropped < 5000)
      // Nothing more is logged: the line appears without that.
      let text = ''
      const more = () => {
        text += take(reader)
        return text
      }
      await assertAccounted(more, 5010)
      await log.write(10)
      await assertAccounted(more, 5020)
      closeSync(reader)
      closeSync(writer)
    })

  void it('to a socket whose reader has stopped, are counted, and reported later', async () => {
    const path = join(dir, 'socket')
    const server = createServer().listen(path)
    const near = connect(path)
    const [far] = (await once(server, 'connection')) as [Socket]
    const log = start(near)
    const [, dropped] = await log.write(5000)
    assert.ok(dropped > 2000 && dropped < 5000)
    let text = ''
    far.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
    })
    await assertAccounted(() => text, 5000)
    near.destroy()
    far.destroy()
    server.close()
  })

  void it('to a pipe whose reader is gone, are counted', async () => {
    const { reader, writer } = pipe()
    const log = start(writer)
    await log.write(1)
    closeSync(reader)
    assert.deepEqual(await log.write(100), [101, 100])
    assert.equal(log.child.exitCode, null)
  })

  void it('to a full disk, are counted', async () => {
    const log = start(openSync('/dev/full', 'w'))
    assert.deepEqual(await log.write(100), [100, 100])
  })

  void it('to a file follow what others have written to it', async () => {
    const path = join(dir, 'file')
    writeFileSync(path, '')
    const fd = openSync(path, 'w')
    const log = start(fd)
    await log.write(2)
    writeFileSync(fd, 'line 3\n')
    assert.equal(accounted(readFileSync(path, 'latin1')), 3)
    closeSync(fd)
  })
})
