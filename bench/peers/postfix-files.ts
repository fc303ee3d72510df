// main.cf and master.cf of a Postfix that takes mail and then drops it.

/** Directories, and the log file, which lies in a directory where postlogd may write. */
interface Places {
  readonly queue: string
  readonly data: string
  readonly log: string
}

export const mainCf = ({ queue, data, log }: Places, more = ''): string => `
compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
maillog_file = ${log}
maillog_file_prefixes = ${log}
myhostname = postfix.invalid
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
default_transport = discard:
message_size_limit = 50000000
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
max_use = 1000
${more}`

/** `listeners`: lines of their own. */
export const masterCf = (listeners: readonly string[]): string => `
${listeners.join('\n')}
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
proxymap  unix  - - n - - proxymap
anvil     unix  - - n - 1 anvil
pickup    unix  n - n 60 1 pickup
postlog   unix-dgram n - n - 1 postlogd
showq     unix  n - n - - showq
flush     unix  n - n 1000? 0 flush
`
