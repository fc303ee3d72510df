// The control plane's view of one line of a control file: what it does, since when, how often it did, and who uses it.

import { ok, type Result } from 'neverthrow'
import { explain, fileNamed, lineAt } from '../../config/explain.ts'
import { type ControlTexts, knobOf, lineKey } from '../../config/knobs.ts'
import type { Explanation, Meaning } from '../../contract/configuration.ts'
import type { RpcFailure } from '../../contract/daemon.ts'
import { notFound } from '../../contract/failure.ts'
import { readControlFile } from '../../edge/control-files.ts'
import type { Runtime } from '../runtime.ts'
import type { Hits } from '../totals.ts'
import { listenersOf } from './lanes.ts'
import { type Uses, usesOf } from './uses.ts'

export async function explainLine(
  runtime: Runtime,
  file: string,
  line: number | undefined,
): Promise<Result<Explanation, RpcFailure>> {
  const { current, control } = runtime.publishing
  const named = fileNamed(file, Object.keys(current.texts))
  if (named.isErr()) return notFound('no-such-file', named.error)
  const name = named.value
  const explained = explain(current, name, line)
  if (explained.isErr()) return notFound('no-such-line', explained.error)
  const meaning = explained.value
  const used = await usesOf(runtime)
  const says = sameAs(current.texts, name, line)
  const uses = usesSaying(runtime, used, says)
  return ok({
    file: `control/${name}`,
    ...(line === undefined ? {} : { line }),
    ...meaning,
    since: sinceWhen(runtime, says),
    drift: readControlFile(control, name).text !== current.texts[name],
    needsRestart: knobOf(name)?.changes === 'restart',
    ...(await hitsOf(runtime, name, meaning, used)),
    uses,
    sessions: (await countSessions(runtime, meaning)) ?? uses.reduce((sum, { sessions }) => sum + sessions, 0),
  })
}

/** Whether a generation says there, or with a line anywhere in the file, what the published one says. */
function sameAs(current: ControlTexts, name: string, line: number | undefined): (texts: ControlTexts) => boolean {
  const text = current[name]
  const written = line === undefined || text === undefined ? undefined : lineAt(text, line)
  return (texts) => {
    const other = texts[name]
    if (other === text) return true
    if (written === undefined || other === undefined) return false
    return hasLine(other, written)
  }
}

/** At any line: an earlier generation may have had lines before it. White space at its end is no part of it. */
function hasLine(text: string, line: string): boolean {
  const ends = (at: number): boolean => {
    let end = at
    while (text[end] === ' ' || text[end] === '\t' || text[end] === '\r') end++
    return end === text.length || text[end] === '\n'
  }
  if (text.startsWith(line) && ends(line.length)) return true
  const begun = `\n${line}`
  for (let at = text.indexOf(begun); at >= 0; at = text.indexOf(begun, at + 1)) if (ends(at + begun.length)) return true
  return false
}

type Says = (texts: ControlTexts) => boolean

function sinceWhen({ publishing: { kept, current } }: Runtime, says: Says): Explanation['since'] {
  let since: Explanation['since'] = { generation: current.generation, published: current.published }
  for (const { generation, published, texts } of kept.toReversed()) {
    if (!says(texts)) break
    since = { generation, published }
  }
  return since
}

const usesSaying = ({ publishing: { kept } }: Runtime, { sessions }: Uses, says: Says): Explanation['uses'] =>
  kept
    .filter(({ generation, texts }) => (sessions.get(generation) ?? 0) > 0 && says(texts))
    .map(({ generation }) => ({ generation, sessions: sessions.get(generation) ?? 0 }))

/** Undefined: those of the generations. */
async function countSessions(runtime: Runtime, { kind, filter, name }: Meaning): Promise<number | undefined> {
  if (filter !== undefined) {
    const query = { filter, sort: 'started' as const, descending: false, limit: 1, now: Date.now() }
    const { answers } = await runtime.askAll('sessions', query)
    return answers.reduce((sum, { matched }) => sum + matched, 0)
  }
  if (kind !== 'chain' || name === undefined) return undefined
  const { answers } = await runtime.askAll('chains', null)
  return answers.reduce((sum, lane) => sum + (lane[name] ?? 0), 0)
}

const shownHits = (hit: Hits | undefined): Pick<Explanation, 'hits' | 'lastHit'> => ({
  hits: hit?.count ?? 0,
  ...(hit !== undefined && { lastHit: hit.last }),
})

async function hitsOf(
  runtime: Runtime,
  file: string,
  { kind, text = '', name = '' }: Meaning,
  { hits }: Uses,
): Promise<Pick<Explanation, 'hits' | 'lastHit'>> {
  switch (kind) {
    case 'rule':
      return shownHits(hits.get(text))
    case 'access':
    case 'sender':
    case 'certificate':
      return file === 'tls' ? {} : shownHits(hits.get(lineKey(`control/${file}`, text)))
    case 'limit':
      return { hits: runtime.limits.limiter.refusals.get(name) ?? 0 }
    case 'listener': {
      const all = await listenersOf(runtime).list()
      return { hits: all.find((one) => one.name === name)?.accepted ?? 0 }
    }
    default:
      return {}
  }
}
