#!/bin/sh
# Makes the password of the engine, once: secrets/fleet.key for control/fleet, which the group of acceptd reads, and secrets/users.acl,
# which has its hash, for the engine. ACCEPTD_GID is that group's number: in the containers of docker-compose.yml it is 987.
set -eu
umask 022
cd "$(dirname "$0")"
mkdir -p secrets
if [ ! -e secrets/fleet.key ]; then
  (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >secrets/fleet.key)
fi
chgrp "${ACCEPTD_GID:-987}" secrets/fleet.key
chmod 640 secrets/fleet.key
hash=$(sha256sum <secrets/fleet.key)
cat >secrets/users.acl <<END
user default off
user acceptd on #${hash%% *} ~acceptd:* &acceptd:* +@all -@admin -@dangerous +info
END
