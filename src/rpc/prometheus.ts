// Samples as the text that Prometheus reads (exposition format 0.0.4).
import { histogramCount, octaves } from '../contract/histogram.ts'
import { METRICS, type MetricName, type Sample } from '../contract/metrics.ts'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

function labelText(labels: Readonly<Record<string, string>>, more?: readonly [string, string]): string {
  const pairs = Object.entries(labels)
  if (more) pairs.push([more[0], more[1]])
  if (pairs.length === 0) return ''
  const quoted = pairs.map(
    ([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`,
  )
  return `{${quoted.join(',')}}`
}

/** Families in the table's order, each with its help and type, also those that nothing was counted for yet. */
export function prometheusText(samples: readonly Sample[]): string {
  const families = new Map<MetricName, string[]>()
  for (const [name, { type, help }] of Object.entries(METRICS))
    families.set(nameOf(name), [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`])
  for (const { metric, labels, value } of samples) {
    const lines = families.get(metric) ?? []
    if (typeof value === 'number') {
      lines.push(`${metric}${labelText(labels)} ${value}`)
      continue
    }
    const count = histogramCount(value)
    for (const [le, seen] of octaves(value)) lines.push(`${metric}_bucket${labelText(labels, ['le', `${le}`])} ${seen}`)
    lines.push(`${metric}_bucket${labelText(labels, ['le', '+Inf'])} ${count}`)
    lines.push(`${metric}_sum${labelText(labels)} ${value.sum}`, `${metric}_count${labelText(labels)} ${count}`)
  }
  return `${[...families.values()].flat().join('\n')}\n`
}

function isMetric(name: string): name is MetricName {
  return name in METRICS
}

function nameOf(name: string): MetricName {
  if (isMetric(name)) return name
  throw new Error(`not a metric: ${name}`)
}
