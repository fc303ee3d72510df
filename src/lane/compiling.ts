// Rules made ready for use while the lane serves: a few hundred at a time, and between them everybody else has a turn. The watchdog's pings
// are answered, too.

import type { Result } from 'neverthrow'
import { rulesText } from '../config/config.ts'
import type { ControlTexts } from '../config/knobs.ts'
import { monotonic } from '../edge/clock.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { beginRules, readRules, rulesOf } from '../rules/parse.ts'
import { compileSome } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'

const TURN_MILLISECONDS = 2
/** Between two looks at the clock. */
const RULES = 100

export async function rulesInTurns(texts: ControlTexts): Promise<Result<RuleSet, readonly ConfigError[]>> {
  const reading = beginRules(rulesText(texts), 'control/fixsmtpio')
  await inTurns(() => readRules(reading, RULES))
  const rules = rulesOf(reading)
  if (rules.isOk()) await inTurns(() => compileSome(rules.value, RULES))
  return rules
}

/** Calls it until it says that it is done. */
async function inTurns(step: () => boolean): Promise<void> {
  for (;;) {
    const until = monotonic() + TURN_MILLISECONDS
    while (monotonic() < until) if (step()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
}
