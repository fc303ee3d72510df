#!/bin/sh
# Ends the sessions of a user with 421 at the next boundary. Needs curl; the user's name must need no quoting in JSON.
#   curl-kill-user.sh SOCKET USER
set -eu
exec curl -sS --unix-socket "$1" http://acceptd/ \
  -d '{"jsonrpc":"2.0","id":1,"method":"session.kill","params":{"user":"'"$2"'","reason":"curl-kill-user.sh"}}'
