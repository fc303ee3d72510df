// What server.upgrade answers.

export interface UpgradeResult {
  readonly version: string
  readonly from: string
  /** Of the runtime that serves; of this one after a dry run. */
  readonly pid: number
  /** That finish in the runtime before. */
  readonly sessions: number
  readonly milliseconds: number
}
