#!/bin/sh
# debian.sh [systemd]: makes a Debian 13 in $ACCEPTD_TEST_CACHE if there is none yet, and says where it is. Run as root.
#   trixie          with Debian's own Node and what builds acceptd
#   trixie-systemd  a host that acceptd's package is installed on: systemd, Debian's own Node, clients
set -eu
cache=${ACCEPTD_TEST_CACHE:-/var/cache/acceptd-test}
case ${1:-} in
  systemd)
    name=trixie-systemd
    packages=nodejs,systemd,systemd-sysv,dbus,procps,curl,swaks,libnet-ssleay-perl,openssl,iproute2,fail2ban,apparmor,bash-completion,runit,daemontools,s6
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
  mmdebstrap --quiet --variant=minbase --include=$packages trixie "$cache/$name.new" $mirror >&2
  mv "$cache/$name.new" "$cache/$name"
fi
echo "$cache/$name"
