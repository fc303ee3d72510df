// The whole control plane over a daemon: what the runtime starts and stops.
import { err, ok, type Result } from 'neverthrow'
import type { Daemon, RpcFailure } from '../contract/daemon.ts'
import { type Context, createContext } from './context.ts'
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
}

export interface ControlPlane {
  readonly addresses: readonly string[]
  /** A change of the configuration that does not come over a socket waits for its turn, too. */
  readonly inTurn: Context['inTurn']
  /** Ends all connections and removes the sockets; overrides in force are forgotten, not undone. */
  close(): Promise<void>
}

/** All or nothing: a socket that cannot be bound closes those before it. */
export async function openControlPlane(
  daemon: Daemon,
  { control, status, metrics }: ControlPlaneOptions,
): Promise<Result<ControlPlane, RpcFailure>> {
  const context = createContext(daemon)
  const listening: Listening[] = []
  const close = async () => {
    context.close()
    await Promise.all(listening.map((one) => one.close()))
  }
  const steps = [
    () => listenSocket(context, { path: control, level: 'control' }),
    status && (() => listenSocket(context, { level: 'status', ...status })),
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
  return ok({ addresses: listening.map(({ address }) => address), inTurn: (change) => context.inTurn(change), close })
}
