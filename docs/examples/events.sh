#!/bin/sh
# Prints events as they happen, one per line, until interrupted. Needs socat and jq.
#   events.sh SOCKET [TOPIC...]
set -eu
socket=$1
shift
[ $# -gt 0 ] || set -- session auth config lane
{
  jq -cn '{jsonrpc: "2.0", id: 1, method: "event.subscribe", params: {topics: $ARGS.positional}}' --args "$@"
  # Keeps our side open.
  exec sleep 2147483647
} | socat - "UNIX-CONNECT:$socket" |
  jq --unbuffered -r 'if .error then .error.message | halt_error elif .method == "event" then
    .params | [.at, .topic, .name, .session.id, .session.user, (.data // empty | tojson)] | map(select(. != null)) | join(" ") else empty end'
