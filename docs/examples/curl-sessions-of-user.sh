#!/bin/sh
# Prints the sessions of a user as JSON. Needs curl; the user's name must need no quoting in JSON.
#   curl-sessions-of-user.sh SOCKET USER
set -eu
exec curl -sS --unix-socket "$1" http://acceptd/ \
  -d '{"jsonrpc":"2.0","id":1,"method":"session.list","params":{"user":"'"$2"'","limit":1000}}'
