#!/bin/sh
# ofmipd-with-user-cdb [ ARG ... ]: ofmipd with the submitting user's own rules for rewriting addresses, if there are any.
# A shell, because it makes way for ofmipd: no process stays for the length of the session.

rules=$HOME/.ofmipd/rules.cdb
[ -n "$HOME" ] && [ -f "$rules" ] && set -- "$rules" "$@"

[ -x "${QMAILHOME:-/var/qmail}/bin/ofmipd" ] && PATH=${QMAILHOME:-/var/qmail}/bin:$PATH
exec ofmipd "$@"
