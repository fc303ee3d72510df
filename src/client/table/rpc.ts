// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document

/** Describes every method as an OpenRPC document. */
export interface RpcDiscoverParams {}

export interface RpcDiscoverResult {
  readonly openrpc: string
  readonly methods: readonly {
    readonly name: string
    readonly [name: string]: unknown
  }[]
  readonly [name: string]: unknown
}
