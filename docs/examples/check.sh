#!/bin/sh
# Checks FILE as control/NAME without changing anything; prints file:line:column of each error and then fails. Needs socat and jq.
#   check.sh SOCKET NAME FILE
set -eu
jq -cn --arg name "$2" --rawfile text "$3" \
  '{jsonrpc: "2.0", id: 1, method: "config.check", params: {files: {($name): $text}}}' |
  socat -t10 - "UNIX-CONNECT:$1" |
  jq -er 'if .error then .error.message | halt_error else
    (.result.errors[] | "\(.file):\(.line):\(.column): \(.message)"), .result.ok end'
