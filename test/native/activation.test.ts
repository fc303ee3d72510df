// LISTEN_FDS of sd_listen_fds(3): the sockets that a service manager hands over, with a script in place of acceptd.js.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readlinkSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { bindAddress } from '../support/binding.ts'

import { account, place, type Ran, script, write } from './launching.ts'

void describe('sockets that a service manager has opened', () => {
  interface Handed {
    readonly fd: number
    readonly inode: string
    readonly port: number
  }
  const open: Server[] = []
  const handed = async (address: string, options: ListenOptions = {}): Promise<Handed> => {
    const server = createServer().listen({ host: address, port: 0, ...options })
    await once(server, 'listening')
    open.push(server)
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle
    return { fd, inode: readlinkSync(`/proc/self/fd/${fd}`), port: (server.address() as AddressInfo).port }
  }
  beforeEach(() => {
    for (const name of ['control', 'run']) rmSync(join(place, name), { recursive: true, force: true })
    mkdirSync(join(place, 'control'))
    write('control/chains', `account ${account}\nchain a\n`)
  })
  afterEach(() => {
    for (const server of open.splice(0)) server.close()
  })

  /** Says which sockets the script has, and which variables of sd_listen_fds(3). */
  const start = (plan: readonly string[], names: string, sockets: readonly Handed[], pid = '$$'): Ran => {
    write('plan', `${plan.join('\n')}\n`)
    script(
      'acceptd.js',
      `case $ACCEPTD_LAUNCHER in
*" plan"*) cat ${place}/plan >&3 ;;
*) env | grep ^LISTEN_; for fd in 3 4 5 6; do readlink /proc/$$/fd/$fd || echo none; done ;;
esac`,
    )
    const words = `LISTEN_PID=${pid} LISTEN_FDS=${sockets.length} LISTEN_FDNAMES=${names} exec ${place}/acceptd --control ${place}/control --run ${place}/run/below`
    const { status, stdout, stderr } = spawnSync('sh', ['-c', words], {
      encoding: 'latin1',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(({ fd }) => fd)],
    })
    return { code: status, out: stdout, err: stderr }
  }

  void it('are those of the listeners of their names, in the order of control/listeners; the others are bound', async () => {
    const [a, c] = [await handed('127.0.0.1'), await handed('::')]
    const plan = [`46 :: ${c.port} c`, '4 127.0.0.1 0 b', `4 127.0.0.1 ${a.port} a`]
    const { code, out, err } = start(plan, 'a:c', [a, c])
    assert.deepEqual([code, err], [0, ''])
    const [first, second, third, fourth] = out.trimEnd().split('\n')
    assert.deepEqual([first, third, fourth], [c.inode, a.inode, 'none'])
    assert.match(second ?? '', /^socket:/)
    assert.ok(second !== first && second !== third)
  })

  void it('are known by their addresses where no listener has the name, as all of one unit have the same', async () => {
    const [a, b] = [await handed('127.0.0.1'), await handed('127.0.0.1')]
    const { out, err } = start(
      [`4 127.0.0.1 ${b.port} b`, `4 127.0.0.1 ${a.port} a`],
      'acceptd.socket:acceptd.socket',
      [a, b],
    )
    assert.deepEqual([out, err], [`${b.inode}\n${a.inode}\nnone\nnone\n`, ''])
  })

  void it('are closed and named where no listener wants them', async () => {
    const [a, b] = [await handed('127.0.0.1'), await handed('127.0.0.1')]
    const { code, out, err } = start([`4 127.0.0.1 ${a.port} a`], 'other:a', [b, a])
    assert.deepEqual([code, out], [0, `${a.inode}\nnone\nnone\nnone\n`])
    assert.equal(
      err,
      'acceptd: LISTEN_FDNAMES: the socket `other` is that of no listener of control/listeners: it is closed\n',
    )
  })

  for (const [what, address, options, line] of [
    ['at another address', '127.0.0.1', {}, '4 127.0.0.2 PORT a'],
    ['on another port', '127.0.0.1', {}, '4 127.0.0.1 1 a'],
    ['of another family', '::1', {}, '4 127.0.0.1 PORT a'],
    ['that leaves IPv4 out', '::', { ipv6Only: true }, '46 :: PORT a'],
    ['that takes IPv4, too', '::', {}, '6 :: PORT a'],
  ] as const)
    void it(`${what} than its listener has: nothing starts`, async () => {
      const socket = await handed(address, options)
      const { code, out, err } = start([line.replace('PORT', String(socket.port))], 'a', [socket])
      assert.deepEqual([code, out], [71, ''])
      assert.match(
        err,
        /^acceptd: LISTEN_FDNAMES: the socket `a` does not listen on \S+, as control\/listeners says\n$/,
      )
    })

  void it('that does not listen is not accepted', async () => {
    const bound = bindAddress('127.0.0.1', 0)
    assert.ok(bound !== undefined)
    const { code } = start([`4 127.0.0.1 ${bound.port} a`], 'a', [{ ...bound, inode: '' }])
    bound.close()
    assert.equal(code, 71)
  })

  void it('for another process are not taken', async () => {
    const a = await handed('127.0.0.1')
    const { code, out } = start(['4 127.0.0.1 0 a'], 'a', [a], '1')
    assert.equal(code, 0)
    assert.doesNotMatch(out, new RegExp(a.inode.replaceAll(/[[\]]/g, '.')))
    assert.doesNotMatch(out, /LISTEN_/)
  })
})
