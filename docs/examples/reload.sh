#!/bin/sh
# Reads the control files again, but only if the configuration has not been changed meanwhile. Needs socat and jq.
#   reload.sh SOCKET [REASON]
set -eu
ask() { socat -t30 - "UNIX-CONNECT:$1"; }
sha256=$(echo '{"jsonrpc":"2.0","id":1,"method":"config.status"}' | ask "$1" | jq -r .result.sha256)
jq -cn --arg sha256 "$sha256" --arg reason "${2:-reload.sh}" \
  '{jsonrpc: "2.0", id: 2, method: "config.reload", params: {ifSha256: $sha256, reason: $reason}}' |
  ask "$1" |
  jq -r 'if .error then (.error.data.errors // [])[] as {$file, $line, $column, $message} | "\($file):\($line):\($column): \($message)" else
    "generation \(.result.generation), was \(.result.previous); changed: \(.result.changed | join(" "))" end,
    (.error // empty | .message | halt_error)'
