// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document

export type Id = string

export type Protocol = 'smtp' | 'pop3'

export type SessionState = 'greeting' | 'login' | 'checking' | 'ready' | 'transaction' | 'data' | 'ending'

export type Count = number

export type Time = string

export type Seconds = number

export type Sha256 = string

export type Reason = string

export type DryRun = boolean

export type Name = string

export type PauseMode = '421' | 'hold'

export type Fleet = boolean

export type ChangedBy = 'start' | 'signal' | 'file' | 'control' | 'fleet'

export type Apply = 'new-sessions' | 'next-transaction'

export type UserGlob = string

export type UserName = string

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export type Moment = string

export type Topic = 'session' | 'auth' | 'message' | 'config' | 'rules' | 'limit' | 'tls' | 'lane' | 'helper' | 'op'
