// The least that a server can do, in C (native/limit.c): what anything on this machine can reach at most.
import { cpus } from 'node:os'
import { join } from 'node:path'
import { backendOf } from './backends.ts'
import { endProgram, type Fixture, freePort, greets, startProgram } from './fixture.ts'
import type { Side } from './side.ts'

export const LIMITS = {
  dialogue: 'the SMTP dialogue alone, any password is right',
  hash: 'the dialogue, with the password hashed',
  'hash, fork, exec': 'the same, with the backend forked and executed as the user, the client on its descriptors',
} as const

export type LimitName = keyof typeof LIMITS

const MODES: Readonly<Record<LimitName, string>> = { dialogue: 'dialogue', hash: 'hash', 'hash, fork, exec': 'exec' }

const limitSide = (fixture: Fixture, name: LimitName): Side => ({
  name: `limit: ${name}`,
  what: `the least in C, a process with epoll per core: ${LIMITS[name]}`,
  absent: () => undefined,
  async start(setup) {
    const port = await freePort()
    const { argv } = backendOf(fixture, setup, false)
    const child = startProgram(
      fixture.program('limit'),
      [MODES[name], String(port), String(cpus().length), fixture.users(setup.users, setup.hash), ...argv],
      { log: join(fixture.directory, `limit-${port}.log`) },
    )
    await greets(port, child)
    return {
      port,
      controlSocket: undefined,
      pids: [child.pid ?? 0],
      isOwn: (command) => command === 'limit',
      stop: () => endProgram(child),
    }
  },
})

export const limitSides = (fixture: Fixture): Readonly<Record<LimitName, Side>> => ({
  dialogue: limitSide(fixture, 'dialogue'),
  hash: limitSide(fixture, 'hash'),
  'hash, fork, exec': limitSide(fixture, 'hash, fork, exec'),
})
