// What the control plane asks of control/access and control/senders.

export interface SendersAnswer {
  /** False: any sender. */
  readonly bound: boolean
  readonly line?: number
  readonly senders: readonly string[]
  readonly allowed?: boolean
  /** Why the cdb cannot be used. */
  readonly trouble?: string
}

export interface AccessQuestion {
  readonly ip: string
  readonly host: string | undefined
  /** By identd. */
  readonly info: string | undefined
  readonly listener: string | undefined
}

export interface AccessAnswer {
  readonly allowed: boolean
  /** Of control/access; undefined: no rule fits. */
  readonly line?: number
  readonly rule?: string
  readonly variables: readonly string[]
}
