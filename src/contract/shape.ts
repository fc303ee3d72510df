// What a value of the contract looks like, inside acceptd and in JSON; rpc makes schemas of it.

export type Shape =
  | { readonly is: 'id' | 'text' | 'count' }
  /** Milliseconds since 1970; the wire has RFC 3339. */
  | { readonly is: 'time' }
  /** Milliseconds since 1970; the wire has the seconds since then. */
  | { readonly is: 'since' }
  | { readonly is: 'one-of'; readonly values: readonly string[] }
  | { readonly is: 'optional'; readonly of: Shape }
  | { readonly is: 'list'; readonly of: Shape }
  | { readonly is: 'record'; readonly members: Members }

export type Members = Readonly<Record<string, Shape>>

type OptionalIn<M> = { readonly [N in keyof M]: M[N] extends { is: 'optional' } ? N : never }[keyof M]
type Values<M, Time> = { readonly [N in Exclude<keyof M, OptionalIn<M>>]: Value<M[N], Time> } & {
  readonly [N in OptionalIn<M>]?: Exclude<Value<M[N], Time>, undefined>
}

type Value<S, Time> = S extends { is: 'id' | 'text' }
  ? string
  : S extends { is: 'count' | 'since' }
    ? number
    : S extends { is: 'time' }
      ? Time
      : S extends { is: 'one-of'; values: readonly (infer V)[] }
        ? V
        : S extends { is: 'optional'; of: infer O }
          ? Value<O, Time> | undefined
          : S extends { is: 'list'; of: infer E }
            ? readonly Value<E, Time>[]
            : S extends { is: 'record'; members: infer M }
              ? Values<M, Time>
              : never

/** A value inside acceptd. */
export type Held<S> = Value<S, number>
/** A value in JSON. */
export type Wire<S> = Value<S, string>

export const id = { is: 'id' } as const
export const text = { is: 'text' } as const
export const count = { is: 'count' } as const
export const time = { is: 'time' } as const
export const since = { is: 'since' } as const
export const oneOf = <const V extends readonly string[]>(values: V) => ({ is: 'one-of', values }) as const
export const optional = <const S extends Shape>(of: S) => ({ is: 'optional', of }) as const
export const list = <const S extends Shape>(of: S) => ({ is: 'list', of }) as const
export const record = <const M extends Members>(members: M) => ({ is: 'record', members }) as const
