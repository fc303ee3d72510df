#!/bin/sh
# Prints the sessions of a user, one per line: id, state, address, messages. Needs socat and jq.
#   sessions-of-user.sh SOCKET USER
set -eu
jq -cn --arg user "$2" '{jsonrpc: "2.0", id: 1, method: "session.list", params: {user: $user, limit: 1000}}' |
  socat -t10 - "UNIX-CONNECT:$1" |
  jq -r 'if .error then .error.message | halt_error else .result.sessions[] | [.id, .state, .ip, .messages] | @tsv end'
