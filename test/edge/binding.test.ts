// Which addresses a listener takes clients from.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, describe, it } from 'node:test'
import { isIpv6Only } from '../../src/edge/launcher.ts'
import { listenOn } from '../../src/edge/listening.ts'
import { Reading } from '../../src/edge/reading.ts'
import { type Bound, bindAddress } from '../support/binding.ts'

const open: (() => void)[] = []
after(() => {
  for (const close of open) close()
})

/** Sends `name` to every client. */
function serve(bound: Bound | undefined, name: string): number {
  assert.ok(bound !== undefined, `${name} cannot be bound`)
  const listening = listenOn(
    bound.fd,
    (socket) => void socket.end(name),
    (error) => {
      throw error
    },
    new Reading(),
  )
  open.push(listening.close)
  return bound.port
}

async function heard(host: string, port: number): Promise<string> {
  const socket = connect(port, host)
  let text = ''
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    text = error.code ?? ''
  })
  await once(socket, 'close')
  return text
}

void describe('a listener on [::]', () => {
  void it('takes clients of IPv4 and of IPv6', async () => {
    const port = serve(bindAddress('::', 0), 'both')
    assert.deepEqual([await heard('127.0.0.1', port), await heard('::1', port)], ['both', 'both'])
  })

  void it('leaves IPv4 to a listener with an IPv4 address on the same port', async () => {
    const port = serve(bindAddress('0.0.0.0', 0), 'four')
    const all = [
      { address: '0.0.0.0', port },
      { address: '::', port },
    ] as const
    assert.equal(serve(bindAddress('::', port, isIpv6Only(all[1], all)), 'six'), port)
    assert.deepEqual([await heard('127.0.0.1', port), await heard('::1', port)], ['four', 'six'])
  })

  for (const [others, only] of [
    ['', false],
    ['0.0.0.0:587', true],
    ['127.0.0.1:587', true],
    ['0.0.0.0:25', false],
    ['0.0.0.0:25 0.0.0.0:587', true],
  ] as const)
    void it(`next to ${others === '' ? 'nothing' : others} takes ${only ? 'IPv6 only' : 'both'}`, () => {
      const all = others
        .split(' ')
        .filter((one) => one !== '')
        .map((one) => ({ address: one.split(':')[0] ?? '', port: Number(one.split(':')[1]) }))
      const six = { address: '::', port: 587 }
      assert.equal(isIpv6Only(six, [six, ...all]), only)
    })

  void it('on a port that the kernel chooses takes both, whatever else is listening', () => {
    const all = [
      { address: '::', port: 0 },
      { address: '0.0.0.0', port: 0 },
    ] as const
    assert.equal(isIpv6Only(all[0], all), false)
  })
})
