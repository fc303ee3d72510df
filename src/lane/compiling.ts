// Rules made ready for use while the lane serves: some at a time, and between them everybody else has a turn. The watchdog's pings are
// answered, too.

import type { Result } from 'neverthrow'
import { rulesText } from '../config/config.ts'
import type { ControlTexts } from '../config/knobs.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { beginRules, readRules, rulesOf } from '../rules/parse.ts'
import { compileSome } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'

/** Work for well under a millisecond. A number, not a time: on a busy machine a look at the clock says what others did. */
export const RULES_A_TURN = 200

/** `othersTurn` resolves when everybody else in the lane has had a turn. */
export async function rulesInTurns(
  texts: ControlTexts,
  othersTurn: () => Promise<unknown> = () => new Promise((resolve) => setImmediate(resolve)),
): Promise<Result<RuleSet, readonly ConfigError[]>> {
  const reading = beginRules(rulesText(texts), 'control/fixsmtpio')
  while (!readRules(reading, RULES_A_TURN)) await othersTurn()
  const rules = rulesOf(reading)
  if (rules.isOk()) while (!compileSome(rules.value, RULES_A_TURN)) await othersTurn()
  return rules
}
