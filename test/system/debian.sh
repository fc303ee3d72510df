#!/bin/sh
# debian.sh [systemd | recipes | slim]: makes a Debian 13 in $ACCEPTD_TEST_CACHE if there is none yet, and says where it is. Run as root.
#   trixie          with Debian's own Node and what builds acceptd
#   trixie-systemd  a host that acceptd's package is installed on: systemd, Debian's own Node, clients
#   trixie-recipes  a host that has no network, but in apt's cache everything that docs/recipes installs
#   trixie-slim     what an image begins with
set -eu
cache=${ACCEPTD_TEST_CACHE:-/var/cache/acceptd-test}
downloads=
case ${1:-} in
  systemd)
    name=trixie-systemd
    packages=nodejs,systemd,systemd-sysv,dbus,procps,curl,swaks,libnet-ssleay-perl,openssl,iproute2,fail2ban,apparmor,bash-completion,runit,daemontools,s6
    ;;
  recipes)
    name=trixie-recipes
    packages=nodejs,systemd,systemd-sysv,dbus,procps,curl,swaks,libnet-ssleay-perl,openssl,iproute2,socat,jq,ucspi-tcp,daemontools
    # Each by itself: some exclude each other.
    downloads='postfix exim4-daemon-light msmtp-mta msmtp dovecot-pop3d dovecot-submissiond dovecot-sqlite dovecot-ldap sqlite3
      slapd ldap-utils haproxy fail2ban python3-systemd nftables python3'
    ;;
  slim)
    name=trixie-slim
    packages=
    ;;
  *)
    name=trixie
    packages=nodejs,npm,gcc,make,libc6-dev,procps,ucspi-tcp
    ;;
esac
if [ ! -e "$cache/$name" ]; then
  mkdir -p "$cache"
  rm -rf "$cache/$name.new"
  # The archive that this machine uses, if it is Debian's; apt's proxies are taken over by mmdebstrap.
  mirror=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' | sed -n 1p)
  set --
  for package in $downloads; do
    set -- "$@" --customize-hook="APT_CONFIG=\$MMDEBSTRAP_APT_CONFIG apt-get -q --yes --download-only install $package >&2"
  done
  # What is only recommended was not downloaded either.
  [ -z "$downloads" ] || set -- "$@" --skip=cleanup/apt \
    --customize-hook='echo "APT::Install-Recommends \"false\";" >"$1/etc/apt/apt.conf.d/90recipes"'
  mmdebstrap --quiet --variant=minbase ${packages:+--include=$packages} "$@" trixie "$cache/$name.new" $mirror >&2
  mv "$cache/$name.new" "$cache/$name"
fi
echo "$cache/$name"
