#!/bin/sh
# Ends the sessions of a user: with 421 at the next boundary, or immediately with "now". Needs socat and jq.
#   kill-user.sh SOCKET USER [graceful|now]
set -eu
jq -cn --arg user "$2" --arg mode "${3:-graceful}" \
  '{jsonrpc: "2.0", id: 1, method: "session.kill", params: {user: $user, mode: $mode, reason: "kill-user.sh"}}' |
  socat -t10 - "UNIX-CONNECT:$1" |
  jq -r 'if .error then .error.message | halt_error else "ended \(.result.killed)", .result.ids[] end'
