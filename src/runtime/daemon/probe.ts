// Runs a backend that needs no login, and holds its EHLO against control/smtpcapabilities.

import type { Result } from 'neverthrow'
import type { RpcFailure } from '../../contract/daemon.ts'
import { notFound } from '../../contract/failure.ts'
import type { BackendProbe } from '../../contract/probe.ts'
import { compareKeywords, keywordLines } from '../../protocol/keywords.ts'
import { askBackend } from '../probe.ts'
import type { Runtime } from '../runtime.ts'

export async function probeBackend(
  runtime: Runtime,
  named: string | undefined,
): Promise<Result<BackendProbe, RpcFailure>> {
  const { chains, smtpCapabilities, probesCapabilities, smtpGreeting } = runtime.current().config
  const found = chains.chains.find(({ name, kind }) => (named === undefined ? kind === 'probe' : name === named))
  if (found === undefined || found.kind === 'auth' || found.kind === 'certificate')
    return notFound('no-such-chain', `There is no chain ${named ?? ''} that needs no login: add one of kind probe`)
  const told = await askBackend(runtime.options.helper.place, found.name, smtpGreeting)
  return told.map(({ greeting, ehlo }) => {
    const backend = keywordLines(ehlo)
    const offered = probesCapabilities ? runtime.capabilities.lines() : smtpCapabilities
    return { chain: found.name, greeting, backend, offered, advice: compareKeywords(offered, backend) }
  })
}
