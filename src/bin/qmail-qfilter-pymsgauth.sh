#!/bin/sh
# qmail-qfilter-pymsgauth: a filter for qmail-qfilter(1). Tags the message with pymsgauth-tag if the submitting user has set
# pymsgauth up, and passes it on byte for byte if not. Whatever goes wrong, the message is refused for now, never lost.

[ -n "$HOME" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
[ -n "$HOME" ] && [ -f "$HOME/.pymsgauth/pymsgauthrc" ] || exec cat

# 71: as qmail-queue(8), a temporary refusal.
tag=$(command -v pymsgauth-tag || command -v pymsgauth-filter) || {
  echo 'qmail-qfilter-pymsgauth: there is no pymsgauth-tag in PATH' >&2
  exit 71
}
"$tag"
code=$?
# A rejection of its own (11 to 40 are permanent) goes through; what qmail-qfilter takes for "drop it", or a crash, does not.
if [ $code -eq 0 ] || { [ $code -ge 11 ] && [ $code -le 91 ]; }; then exit $code; fi
exit 71
