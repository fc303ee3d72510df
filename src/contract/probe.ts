// What backend.probe answers.

import type { Advice } from '../protocol/keywords.ts'

/** What a backend offers after EHLO, what acceptd offers before login, and what to change there. */
export interface BackendProbe {
  readonly chain: string
  readonly greeting: string
  readonly backend: readonly string[]
  readonly offered: readonly string[]
  readonly advice: readonly Advice[]
}
