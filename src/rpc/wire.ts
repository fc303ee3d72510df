// Values of the daemon as the wire has them: times as RFC 3339, errors with `message`.
import type { z } from 'zod'
import type { Generation } from '../contract/configuration.ts'
import type { HealthCheck, RpcFailure } from '../contract/daemon.ts'
import type { SessionFilter } from '../contract/pages.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { type configError, filterNames } from './schema.ts'

export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

export function wireConfigError({ problem, ...rest }: ConfigError): z.input<typeof configError> {
  return { ...rest, message: problem }
}

/** For status.sock: where it is, and none of its words. */
export const placeOf = ({ file, line, column }: z.input<typeof configError>): z.input<typeof configError> => ({
  file,
  line,
  column,
  message: 'control.sock says what is wrong',
  hint: '',
})

/** Whose sentences name no program, file or address of the configuration. */
const OPEN_CHECKS: ReadonlySet<string> = new Set(['certificates', 'descriptors', 'lanes', 'files', 'state', 'sockets'])

/** For status.sock and for pages: what is well or not, and of some why. */
export const openHealth = (checks: readonly HealthCheck[]): readonly HealthCheck[] =>
  checks.map((check) =>
    check.state === 'ok' || OPEN_CHECKS.has(check.name)
      ? check
      : { ...check, detail: 'acceptctl server health on control.sock says what is wrong' },
  )

/** The daemon's errors in a failure have `problem`; the wire has `message`. */
export function wireFailure(failure: RpcFailure): RpcFailure {
  const errors = failure.data?.errors
  if (failure.failure !== 'config-invalid' || !isConfigErrors(errors)) return failure
  const all = typeof failure.data?.errorCount === 'number' ? failure.data.errorCount : errors.length
  const [first] = errors
  const more = all > 1 ? ` (and ${all - 1} more)` : ''
  return {
    ...failure,
    message: first
      ? `${first.file}:${first.line}:${first.column}: ${first.problem}${more}`
      : 'The configuration is not valid',
    data: { ...failure.data, errors: errors.map(wireConfigError), errorCount: all },
  }
}

const isConfigErrors = (value: unknown): value is readonly ConfigError[] =>
  Array.isArray(value) &&
  value.every((error: unknown) => typeof error === 'object' && error !== null && 'problem' in error)

export function wireGeneration({
  published,
  ...rest
}: Generation): Omit<Generation, 'published'> & { published: string } {
  return { ...rest, published: timeOf(published) }
}

/** The members of a Filter among the parameters of a method. */
export function filterOf(params: SessionFilter): SessionFilter {
  const filter: Record<string, unknown> = {}
  for (const name of filterNames) if (params[name] !== undefined) filter[name] = params[name]
  return filter
}

export function without<T extends object, K extends keyof T>(value: T, ...names: readonly K[]): Omit<T, K> {
  const rest = { ...value }
  for (const name of names) delete rest[name]
  return rest
}
