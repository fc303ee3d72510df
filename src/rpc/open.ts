// The whole control plane over a daemon: what the runtime starts and stops.
import { err, ok, type Result } from 'neverthrow'
import type { Daemon, RpcFailure } from '../contract/daemon.ts'
import type { Sample } from '../contract/metrics.ts'
import { type Context, createContext } from './context.ts'
import { fleetHandler } from './fleet.ts'
import { listenMetrics } from './http.ts'
import { listenSocket } from './socket.ts'
import type { Listening } from './socket-path.ts'

export interface ControlPlaneOptions {
  /** control.sock: 0600, made together with its directory (0700) if that is missing. */
  readonly control: string
  /** status.sock: 0660; only what changes nothing and shows nothing private. */
  readonly status?: { readonly path: string; readonly gid?: number }
  /** GET /metrics over TCP, on a loopback address. */
  readonly metrics?: { readonly host: string; readonly port: number }
  /** The sockets are those of the runtime that this one takes over from. */
  readonly replaces?: boolean
}

export interface ControlPlane {
  readonly addresses: readonly string[]
  /** A change of the configuration that does not come over a socket waits for its turn, too. */
  readonly inTurn: Context['inTurn']
  /** Another runtime takes the addresses; what was counted here. Connections stay. */
  release(): Promise<readonly Sample[]>
  /** It does not: they are ours again. */
  reclaim(): Promise<void>
  /** Ends all connections and removes the sockets; overrides in force are forgotten, not undone. */
  close(): Promise<void>
}

/** All or nothing: a socket that cannot be bound closes those before it. */
export async function openControlPlane(
  daemon: Daemon,
  { control, status, metrics, replaces = false }: ControlPlaneOptions,
): Promise<Result<ControlPlane, RpcFailure>> {
  const context = createContext(daemon)
  const listening: Listening[] = []
  const close = async () => {
    context.close()
    await Promise.all(listening.map((one) => one.close()))
  }
  const steps = [
    () => listenSocket(context, { path: control, level: 'control', replaces }),
    status && (() => listenSocket(context, { level: 'status', ...status, replaces })),
    metrics && (() => listenMetrics(context, metrics.host, metrics.port)),
  ]
  for (const step of steps) {
    const bound = await step?.()
    if (bound === undefined) continue
    if (bound.isErr()) {
      await close()
      return err(bound.error)
    }
    listening.push(bound.value)
  }
  daemon.fleet.serve(fleetHandler(context))
  return ok({
    addresses: listening.map(({ address }) => address),
    inTurn: (change) => context.inTurn(change),
    async release() {
      await Promise.all(listening.map((one) => one.release()))
      return context.measure()
    },
    async reclaim() {
      for (const one of listening) await one.reclaim()
    },
    close,
  })
}
