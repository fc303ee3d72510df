#!/bin/sh
# Prints the reply, then events as they happen, one JSON text per line, until interrupted. Needs curl.
#   curl-events.sh SOCKET
set -eu
exec curl -sSN --unix-socket "$1" http://acceptd/ \
  -d '{"jsonrpc":"2.0","id":1,"method":"event.subscribe","params":{"topics":["session","auth","config","lane"]}}'
