#!/bin/sh
# Publishes the last generation again that differs from the current one. Needs socat and jq.
#   rollback.sh SOCKET
set -eu
jq -cn '{jsonrpc: "2.0", id: 1, method: "config.rollback", params: {reason: "rollback.sh"}}' |
  socat -t30 - "UNIX-CONNECT:$1" |
  jq -r 'if .error then .error.message | halt_error else "generation \(.result.generation), was \(.result.previous)" end'
