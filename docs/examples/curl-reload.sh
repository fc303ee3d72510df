#!/bin/sh
# Reads the control files again; the reply has the new generation, or every error with file, line and column. Needs curl.
#   curl-reload.sh SOCKET
set -eu
exec curl -sS --unix-socket "$1" http://acceptd/ \
  -d '{"jsonrpc":"2.0","id":1,"method":"config.reload","params":{"reason":"curl-reload.sh"}}'
