#!/bin/sh
# Checks the control files on disk without changing anything; the reply has file, line and column of each error. Needs curl.
#   curl-check.sh SOCKET
set -eu
exec curl -sS --unix-socket "$1" http://acceptd/ -d '{"jsonrpc":"2.0","id":1,"method":"config.check"}'
