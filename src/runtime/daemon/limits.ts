// The control plane's view of control/limits: how full each line is, who is delayed or refused, and other rates for a time.

import { err, ok } from 'neverthrow'
import type { Daemon } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import type { Sample } from '../../contract/metrics.ts'
import { monotonic, wallTime } from '../../edge/clock.ts'
import { type Limit, rateText } from '../../limits/limit.ts'
import { forget, forgive, fullness, linesFor, mostOf, penalties, setRate, usedBy } from '../../limits/report.ts'
import type { Runtime } from '../runtime.ts'

const withMost = (rate: Limit['rate']) => {
  const most = mostOf(rate)
  return most === undefined ? {} : { most }
}

export function limitsOf(runtime: Runtime): Daemon['limits'] {
  const { limiter, now } = runtime.limits
  const named = (name: string) => limiter.published.limits.find((limit) => limit.name === name)
  const missing = (name: string) => notFound('no-such-limit', `control/limits has no limit ${name}`)
  return {
    list: () =>
      limiter.limits.limits.map((limit) => {
        const { subjects, nearest } = fullness(limiter, limit, now())
        const { name, line, text, rate } = limit
        return {
          name,
          line,
          text,
          rate: rateText(rate),
          set: limiter.set.has(name),
          subjects,
          refused: limiter.refusals.get(name) ?? 0,
          ...(nearest === undefined ? {} : { nearest: { ...nearest, ...withMost(rate) } }),
        }
      }),
    set(name, rate) {
      const limit = named(name)
      if (limit === undefined) return missing(name)
      if (!setRate(limiter, limit, rate))
        return err(failure('invalid-params', 'not-a-rate', `${rate} is not a rate that ${name} can have`))
      if (rate === undefined) runtime.log('info', 'limit-restored', { limit: name })
      else runtime.log('info', 'limit-set', { limit: name, rate })
      return ok(rate ?? rateText(limit.rate))
    },
    clear(name, subject) {
      const limit = named(name)
      if (limit === undefined) return missing(name)
      const cleared = forget(limiter, limit, subject)
      runtime.log('info', 'limit-cleared', { limit: name, subject, cleared })
      return ok(cleared)
    },
    evaluate: (who) =>
      linesFor(limiter, who).map((one) => {
        const { name, line, text, rate } = one.limit
        const used = usedBy(limiter, one, now())
        const most = mostOf(rate)
        return {
          name,
          line,
          text,
          rate: rateText(rate),
          subject: one.subject,
          used,
          ...withMost(rate),
          full: most !== undefined && used >= most,
        }
      }),
    penalties: () =>
      penalties(limiter, now()).map(({ limit, subject, failures, delay, ends }) => ({
        limit: limit.name,
        scope: limit.scope,
        subject,
        ...(ends > 0
          ? { kind: 'ban' as const, ends: wallTime(ends - now() + monotonic()) }
          : { kind: 'delay' as const, failures, delay }),
      })),
    forgive(subject) {
      const cleared = forgive(limiter, subject, now())
      runtime.log('info', 'penalties-cleared', { subject, cleared })
      return ok(cleared)
    },
  }
}

export const limitSamples = ({ limits: { limiter, now } }: Runtime): readonly Sample[] => [
  ...limiter.limits.limits.map(
    ({ name }): Sample => ({
      metric: 'acceptd_limit_refusals_total',
      labels: { limit: name },
      value: limiter.refusals.get(name) ?? 0,
    }),
  ),
  { metric: 'acceptd_limit_penalties', labels: {}, value: penalties(limiter, now()).length },
]

export function fleetSamples({ fleet }: Runtime): readonly Sample[] {
  const found = fleet.state()
  if (found === undefined) return [{ metric: 'acceptd_fleet_losses_total', labels: {}, value: 0 }]
  const { state, hosts, shared, milliseconds, losses } = found
  return [
    { metric: 'acceptd_fleet_together', labels: {}, value: state === 'together' ? 1 : 0 },
    { metric: 'acceptd_fleet_hosts', labels: {}, value: hosts.filter(({ here }) => here).length },
    { metric: 'acceptd_fleet_subjects', labels: {}, value: shared },
    { metric: 'acceptd_fleet_answer_seconds', labels: {}, value: milliseconds / 1000 },
    { metric: 'acceptd_fleet_losses_total', labels: {}, value: losses },
  ]
}
