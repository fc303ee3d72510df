// What control/ asks of the host and is not there: good files, with which no login would work.

import { lookUp } from '../edge/cdb.ts'
import { folderTrouble, isMissing, isOurs, programTrouble, setuidTrouble } from '../edge/looking.ts'
import type { HelperMode } from '../protocol/helper.ts'
import type { ChainConfig } from './chains.ts'
import type { Config } from './config.ts'

/** The account and programs that acceptd runs with. */
export interface Installed {
  /** Started by root. */
  readonly root: boolean
  /** The directory of the control sockets. */
  readonly run: string
  /** accept-helper's program. */
  readonly helper: string
}

/** A sentence each, without a full stop, that begins with the place; none where nothing is wrong. */
export const programTroubles = ({ chains: { chains } }: Pick<Config, 'chains'>): readonly string[] =>
  chains.flatMap((chain) => {
    const at = (program: string, problem: string) =>
      `control/chains:${chain.line}: the chain ${chain.name}: ${program}: ${problem}`
    const [backend = ''] = chain.backend
    const troubles = [[backend, programTrouble(backend)], checkpasswordTrouble(chain)] as const
    return troubles.flatMap(([program, problem]) => (problem === undefined ? [] : [at(program, problem)]))
  })

function checkpasswordTrouble({ checkpassword }: ChainConfig): readonly [program: string, problem: string | undefined] {
  const [program, file] = checkpassword
  if (program === undefined) return ['', undefined]
  if (program !== 'builtin') return [program, programTrouble(program)]
  const isThere = file === undefined || !isMissing(file)
  return [file ?? '', isThere ? undefined : 'there is no such file to check passwords with']
}

/** A unit's helper is started by root, and needs no rights of its file. */
export function helperFileTrouble(mode: HelperMode, { root, helper }: Installed): string | undefined {
  if (mode === 'unit') return undefined
  const problem = programTrouble(helper) ?? (root ? setuidTrouble(helper) : undefined)
  return problem && `${helper}: ${problem}; it has to be root:GROUP 4750, with the group of control/chains`
}

export function runTrouble({ root, run }: Installed): string | undefined {
  const problem = folderTrouble(run, root)
  return problem && `${run}: others could take the place of the control sockets: ${problem}`
}

export async function addressTroubles({ listeners }: Pick<Config, 'listeners'>): Promise<readonly string[]> {
  const ours = await Promise.all(listeners.map(({ address }) => isOurs(address)))
  return listeners
    .filter((_one, i) => ours[i] === false)
    .map(({ line, address }) => `control/listeners:${line}: this host has not the address ${address}`)
}

/** Of the cdb that control/senders names. */
export function sendersTrouble({ senders }: Pick<Config, 'senders'>): string | undefined {
  if (senders?.compiled === undefined) return undefined
  const { line, file } = senders.compiled
  const found = lookUp(file, [''])
  return found.isErr() ? `control/senders:${line}: ${file} cannot be used: ${found.error}` : undefined
}

/** All of them. */
export const hostTroubles = async (config: Config, installed: Installed): Promise<readonly string[]> => [
  ...programTroubles(config),
  ...[helperFileTrouble(config.helper, installed), runTrouble(installed), sendersTrouble(config)].flatMap(
    (one) => one ?? [],
  ),
  ...(await addressTroubles(config)),
]
