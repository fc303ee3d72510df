// control/loglevel: a level for the whole log, and lines COMPONENT=LEVEL for parts of it.

import type { LogLevel } from '../contract/daemon.ts'
import { isLogComponent, LOG_COMPONENTS, type LogLevels } from '../contract/log.ts'
import { controlLines } from '../protocol/control-lines.ts'
import { type Reading, trouble } from './knobs.ts'

const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug']

export function logLevelsOf({ texts, errors }: Reading): LogLevels {
  let levels: LogLevels = { acceptd: 'info' }
  const said = new Set<string>()
  for (const { line, text } of controlLines(texts.loglevel ?? '')) {
    const [, component = 'acceptd', word = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(text.trim()) ?? []
    const level = LEVELS.find((one) => one === word)
    const fail = (problem: string, hint: string) => errors.push(trouble('loglevel', line, 1, problem, hint))
    if (!isLogComponent(component))
      fail(`\`${component}\` is no part of the log`, `write one of ${LOG_COMPONENTS.join(', ')}`)
    else if (level === undefined) fail(`\`${word}\` is no level`, `write ${LEVELS.join(' or ')}`)
    else if (said.has(component)) fail(`the level of ${component} is said twice`, 'take one of the lines out')
    else levels = { ...levels, [component]: level }
    said.add(component)
  }
  return levels
}
