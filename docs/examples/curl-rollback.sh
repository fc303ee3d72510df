#!/bin/sh
# Publishes an older generation again. Needs curl.
#   curl-rollback.sh SOCKET GENERATION
set -eu
exec curl -sS --unix-socket "$1" http://acceptd/ \
  -d '{"jsonrpc":"2.0","id":1,"method":"config.rollback","params":{"generation":'"$2"',"reason":"curl-rollback.sh"}}'
