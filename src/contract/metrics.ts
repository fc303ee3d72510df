// What acceptd counts: a row a family. The names are an interface (dashboards, alerts); rows are only added.
import { type HistogramValue, mergeHistograms } from './histogram.ts'

interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

export const METRICS = {
  acceptd_info: { type: 'gauge', help: 'Always 1; the version as a label.', labels: ['version'] },
  acceptd_build_info: { type: 'gauge', help: 'Always 1; acceptd and Node as labels.', labels: ['version', 'node'] },
  acceptd_start_time_seconds: { type: 'gauge', help: 'When the runtime started, since 1970.', labels: [] },
  acceptd_runtime_restarts_total: {
    type: 'counter',
    help: 'Runtimes of this acceptd that died and were replaced.',
    labels: [],
  },
  process_start_time_seconds: { type: 'gauge', help: 'When the runtime started, since 1970.', labels: [] },
  process_cpu_seconds_total: { type: 'counter', help: 'Processor time of the runtime.', labels: [] },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory of the runtime.', labels: [] },
  process_virtual_memory_bytes: { type: 'gauge', help: 'Address space of the runtime.', labels: [] },
  process_open_fds: { type: 'gauge', help: 'Open file descriptors of the runtime.', labels: [] },
  process_max_fds: { type: 'gauge', help: 'How many it may open.', labels: [] },
  acceptd_helper_up: { type: 'gauge', help: '1 if accept-helper answers, or is started for each login.', labels: [] },
  acceptd_health: { type: 'gauge', help: 'Checks of server.health: 0 ok, 1 warning, 2 failed.', labels: ['check'] },
  acceptd_uptime_seconds: { type: 'gauge', help: 'Since the runtime started.', labels: [] },
  acceptd_draining: { type: 'gauge', help: '1 while no new sessions are taken.', labels: [] },
  acceptd_descriptors_open: { type: 'gauge', help: 'Open file descriptors of the runtime.', labels: [] },
  acceptd_descriptors_limit: { type: 'gauge', help: 'How many it may open.', labels: [] },
  acceptd_upgrades_total: { type: 'counter', help: 'Upgrades: done, or given up.', labels: ['outcome'] },
  acceptd_log_lines_lost_total: {
    type: 'counter',
    help: 'Log lines of the runtime that could not be written.',
    labels: [],
  },
  acceptd_sessions: { type: 'gauge', help: 'Live sessions.', labels: ['lane', 'protocol', 'state'] },
  acceptd_sessions_accepted_total: { type: 'counter', help: 'Sessions begun.', labels: ['listener'] },
  acceptd_sessions_refused_total: {
    type: 'counter',
    help: 'Connections answered 421 instead of a greeting.',
    labels: ['listener', 'reason'],
  },
  acceptd_sessions_ended_total: { type: 'counter', help: 'Sessions ended.', labels: ['protocol', 'reason'] },
  acceptd_logins_total: {
    type: 'counter',
    help: 'Outcomes of login attempts.',
    labels: ['protocol', 'mechanism', 'outcome'],
  },
  acceptd_login_seconds: {
    type: 'histogram',
    help: 'From the last byte of the credentials to the reply.',
    labels: ['lane', 'outcome'],
  },
  acceptd_helper_seconds: {
    type: 'histogram',
    help: 'From the request to the status line of the helper.',
    labels: ['lane'],
  },
  acceptd_first_reply_seconds: { type: 'histogram', help: 'From accept to the greeting.', labels: ['lane'] },
  acceptd_tls_handshakes_total: {
    type: 'counter',
    help: 'TLS handshakes with clients that succeeded; full or resumed.',
    labels: ['version', 'cipher', 'kind'],
  },
  acceptd_tls_failures_total: { type: 'counter', help: 'TLS handshakes that did not.', labels: ['reason'] },
  acceptd_certificate_expires_seconds: {
    type: 'gauge',
    help: 'When a certificate in use expires, in seconds since 1970; by its names in control/tls and its type of key.',
    labels: ['names', 'key'],
  },
  acceptd_certificate_reloads_total: {
    type: 'counter',
    help: 'Readings of the files of control/tls.',
    labels: ['by', 'outcome'],
  },
  acceptd_limit_refusals_total: { type: 'counter', help: 'Refusals by lines of control/limits.', labels: ['limit'] },
  acceptd_limit_penalties: { type: 'gauge', help: 'Addresses and users with a delay or a ban.', labels: [] },
  acceptd_limits_alone_total: {
    type: 'counter',
    help: 'Verdicts on limits that lanes gave without the main thread.',
    labels: [],
  },
  acceptd_fleet_together: { type: 'gauge', help: '1 while the engine of the fleet answers in time.', labels: [] },
  acceptd_fleet_hosts: { type: 'gauge', help: 'Hosts of the fleet that are here, this one included.', labels: [] },
  acceptd_fleet_subjects: { type: 'gauge', help: 'Subjects of limits that the hosts tell each other.', labels: [] },
  acceptd_fleet_answer_seconds: { type: 'gauge', help: 'How long the last answer of the engine took.', labels: [] },
  acceptd_fleet_losses_total: { type: 'counter', help: 'Times that the engine was away, slow or wrong.', labels: [] },
  acceptd_messages_total: {
    type: 'counter',
    help: 'Messages by what the backend answered.',
    labels: ['protocol', 'outcome'],
  },
  acceptd_recipients_total: { type: 'counter', help: 'Recipients accepted by backends.', labels: [] },
  acceptd_bytes_total: { type: 'counter', help: 'Octets from and to clients.', labels: ['protocol', 'direction'] },
  acceptd_rule_hits_total: {
    type: 'counter',
    help: 'Matches of each rule; `rule` is the beginning of the sha256 of its text.',
    labels: ['rule', 'event'],
  },
  acceptd_rule_line: {
    type: 'gauge',
    help: 'The line of control/fixsmtpio that has this rule.',
    labels: ['rule', 'event'],
  },
  acceptd_generation: { type: 'gauge', help: 'Number of the published generation.', labels: [] },
  acceptd_generation_sessions: { type: 'gauge', help: 'Live sessions by generation.', labels: ['generation'] },
  acceptd_config_drift_files: { type: 'gauge', help: 'Control files that differ from what is loaded.', labels: [] },
  acceptd_last_reload_successful: {
    type: 'gauge',
    help: '1 unless the last reload or rollback was refused.',
    labels: [],
  },
  acceptd_last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When a reload, rollback or start was last taken, since 1970.',
    labels: [],
  },
  acceptd_reloads_total: { type: 'counter', help: 'Reloads and rollbacks.', labels: ['by', 'outcome'] },
  acceptd_reload_seconds: { type: 'histogram', help: 'From the request to the last lane switched.', labels: [] },
  acceptd_lane_lag_seconds: { type: 'histogram', help: 'How late timers fire in a lane.', labels: ['lane'] },
  acceptd_lane_memory_bytes: { type: 'gauge', help: 'Heap and buffers of a lane.', labels: ['lane'] },
  acceptd_lane_deaths_total: { type: 'counter', help: 'Lanes that died and were replaced.', labels: ['lane'] },
  acceptd_warm_logins_total: {
    type: 'counter',
    help: 'Logins to warm chains: taken over by a parked backend, or cold.',
    labels: ['outcome'],
  },
  acceptd_backends_parked: { type: 'gauge', help: 'Warm backends that wait for their user.', labels: ['chain'] },
  acceptd_control_requests_total: {
    type: 'counter',
    help: 'Requests on the control sockets.',
    labels: ['socket', 'outcome'],
  },
  acceptd_control_clients: { type: 'gauge', help: 'Open connections on the control sockets.', labels: ['socket'] },
  acceptd_events_dropped_total: { type: 'counter', help: 'Events that slow subscribers lost.', labels: [] },
} as const satisfies Readonly<Record<string, MetricRow>>

export type MetricName = keyof typeof METRICS
type OfType<T> = { [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never }[MetricName]
type Labels<N extends MetricName> = { readonly [L in (typeof METRICS)[N]['labels'][number]]: string }

type NumberSample = {
  [N in OfType<'counter' | 'gauge'>]: { readonly metric: N; readonly labels: Labels<N>; readonly value: number }
}[OfType<'counter' | 'gauge'>]
type HistogramSample = {
  [N in OfType<'histogram'>]: { readonly metric: N; readonly labels: Labels<N>; readonly value: HistogramValue }
}[OfType<'histogram'>]

/** One measured value; a label that the table does not name does not compile. */
export type Sample = NumberSample | HistogramSample

/** By metric and labels. */
export function addSample(sums: Map<string, Sample>, sample: Sample): void {
  const key = `${sample.metric}\t${JSON.stringify(sample.labels)}`
  const before = sums.get(key)
  sums.set(key, before === undefined ? sample : ({ ...sample, value: added(before.value, sample.value) } as Sample))
}

function added(a: number | HistogramValue, b: number | HistogramValue): number | HistogramValue {
  if (typeof a === 'number' || typeof b === 'number') return Number(a) + Number(b)
  return mergeHistograms([a, b])
}

/** Those of the same metric and labels are one: a main thread counts on from where the one before it was. */
export function summed(samples: Iterable<Sample>): readonly Sample[] {
  const sums = new Map<string, Sample>()
  for (const sample of samples) addSample(sums, sample)
  return [...sums.values()]
}
