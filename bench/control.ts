// One question to acceptd's control socket.
import { Acceptd, AcceptdError } from '../src/client/client.ts'

export interface ControlAnswer {
  readonly result?: unknown
  readonly error?: string
}

const TIMEOUT = 60

export async function askControl(
  path: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
): Promise<ControlAnswer> {
  const acceptd = new Acceptd({ path, timeout: TIMEOUT })
  try {
    return { result: await acceptd.request(method, params) }
  } catch (error) {
    if (!(error instanceof AcceptdError)) throw error
    return { error: error.message }
  } finally {
    acceptd.close()
  }
}
