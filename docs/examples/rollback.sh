#!/bin/sh
# Publishes the previous generation again. Needs socat and jq.
#   rollback.sh SOCKET
set -eu
ask() { socat -t30 - "UNIX-CONNECT:$1"; }
before=$(echo '{"jsonrpc":"2.0","id":1,"method":"config.history"}' | ask "$1" |
  jq -r '.result.generation as $now | [.result.generations[].generation | select(. < $now)] | max // empty')
[ -n "$before" ] || { echo "there is no older generation" >&2; exit 1; }
jq -cn --argjson generation "$before" \
  '{jsonrpc: "2.0", id: 2, method: "config.rollback", params: {generation: $generation, reason: "rollback.sh"}}' |
  ask "$1" |
  jq -r 'if .error then .error.message | halt_error else "generation \(.result.generation), was \(.result.previous)" end'
