// One question to acceptd's control socket.
import { type ClientProblem, openClient } from '../src/rpc/client.ts'

export interface ControlAnswer {
  readonly result?: unknown
  readonly error?: string
}

const TIMEOUT = 60

function messageOf(problem: ClientProblem): string {
  switch (problem.at) {
    case 'connect':
      return problem.message
    case 'reply':
      return problem.error.message
    case 'closed':
      return 'closed without an answer'
    case 'timeout':
      return `no answer in ${TIMEOUT} s`
  }
}

export async function askControl(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<ControlAnswer> {
  const client = await openClient(path)
  if (client.isErr()) return { error: messageOf(client.error) }
  const answer = await client.value.call(method, params, TIMEOUT)
  client.value.close()
  return answer.match<ControlAnswer>(
    (result) => ({ result }),
    (problem) => ({ error: messageOf(problem) }),
  )
}
