// acceptctl complete: the candidates for a line that a shell is completing. What goes wrong is no concern of the line: then there are fewer.
import { candidatesIn, complete } from '../rpc/completion.ts'

/** Asks the daemon at this socket, if it is not the usual one; rejects where it does not answer soon. */
type Ask = (method: string, params: object, socket: string | undefined) => Promise<unknown>

/** A candidate a line, with a tab and a hint after it where there is one. */
export async function candidates(typed: readonly string[], ask: Ask): Promise<string> {
  const { lead, begun, words, source, files, socket } = complete(typed)
  if (files) return ':files\n'
  const asked = source && (await ask(source.method, source.params, socket).catch(() => undefined))
  return [...words, ...(source === undefined ? [] : candidatesIn(source, asked))]
    .filter(([word]) => word.startsWith(begun))
    .map(([word, hint]) => `${lead}${word}${hint === '' ? '' : `\t${hint}`}\n`)
    .join('')
}
