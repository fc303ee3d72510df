// acceptd/client: the control plane of acceptd for programs, typed by the method table. See docs/control.md.
//
//   const acceptd = new Acceptd({ path: '/run/acceptd/control.sock' })
//   const { sessions } = await acceptd.call('session.list', { user: 'a*' })
//   for await (const event of acceptd.events({ topics: ['session'] })) console.log(event.name)

import { Connection } from './connection.ts'
import type { AcceptdOptions, CallOptions, Stream, StreamOptions } from './options.ts'
import { Notifications } from './stream.ts'
import type { MethodName, Methods, StreamName, Streams } from './table/index.ts'

export { AcceptdError, type Failure } from './errors.ts'
export type * from './options.ts'
export * from './table/index.ts'

type Opened<S extends StreamName> = Stream<Streams[S]['item'], Streams[S]['result']>

/** Parameters that may all be left out may be left out together. */
type Arguments<P, O> = Partial<P> extends P ? [params?: P, options?: O] : [params: P, options?: O]

/** Connects when it is first needed, and again when that connection has ended. It keeps the process alive only while something is awaited. */
export class Acceptd {
  readonly path: string
  private readonly timeout: number
  private readonly patience: number
  private connecting: Promise<Connection> | undefined
  private readonly streams = new Set<Pick<Opened<StreamName>, 'return'>>()

  constructor({ path, timeout = 60, patience = 60 }: AcceptdOptions = {}) {
    this.path = path ?? process.env['ACCEPTD_SOCKET'] ?? '/run/acceptd/control.sock'
    this.timeout = timeout
    this.patience = patience
  }

  /** Rejects with an AcceptdError. Calls of one client are answered in turn. */
  async call<M extends MethodName>(
    method: M,
    ...[params, options]: Arguments<Methods[M]['params'], CallOptions>
  ): Promise<Methods[M]['result']> {
    // As the method's schema says; acceptd has made it so.
    return (await this.request(method, params ?? {}, options)) as Methods[M]['result']
  }

  /** Events; by default all topics, from now on. They go on over a restart of the runtime, without a repetition. */
  events(
    ...[params, options]: Arguments<Streams['event.subscribe']['params'], StreamOptions>
  ): Opened<'event.subscribe'> {
    return this.stream('event.subscribe', params, options)
  }

  /** The conversations of sessions that match, until its ttl or its lines are over. */
  trace(...[params, options]: Arguments<Streams['session.trace']['params'], StreamOptions>): Opened<'session.trace'> {
    return this.stream('session.trace', params, options)
  }

  /** A method of which nothing is known here. */
  async request(
    method: string,
    params: object,
    { timeout = this.timeout, signal }: CallOptions = {},
  ): Promise<unknown> {
    const connection = await this.connected()
    connection.keepAlive(true)
    try {
      return await connection.request(method, params, timeout, signal)
    } finally {
      if (!connection.isWaiting) connection.keepAlive(false)
    }
  }

  stream<S extends StreamName>(
    method: S,
    ...[params, { signal, patience = this.patience } = {}]: Arguments<Streams[S]['params'], StreamOptions>
  ): Opened<S> {
    const order = {
      path: this.path,
      method,
      params: { ...params },
      timeout: this.timeout,
      resumes: method === 'event.subscribe',
      patience,
    }
    const stream: Opened<S> = new Notifications(order, signal, () => this.streams.delete(stream))
    this.streams.add(stream)
    return stream
  }

  /** Ends its connections, and with them what is awaited. */
  close(): void {
    for (const stream of this.streams) void stream.return()
    this.connecting?.then(
      (connection) => connection.close(),
      () => undefined,
    )
    this.connecting = undefined
  }

  private connected(): Promise<Connection> {
    if (this.connecting !== undefined) return this.connecting
    const opened = Connection.open(this.path)
    this.connecting = opened
    const over = () => {
      if (this.connecting === opened) this.connecting = undefined
    }
    opened.then((connection) => connection.closed.then(over), over)
    return opened
  }
}
