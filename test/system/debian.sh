#!/bin/sh
# Makes a Debian 13 in $ACCEPTD_TEST_CACHE/trixie, with Debian's own Node, if there is none yet; says where it is. Run as root.
set -eu
cache=${ACCEPTD_TEST_CACHE:-/var/cache/acceptd-test}
packages=nodejs,npm,gcc,make,libc6-dev,procps,ucspi-tcp
if [ ! -e "$cache/trixie" ]; then
  mkdir -p "$cache"
  rm -rf "$cache/trixie.new"
  # The archive that this machine uses, if it is Debian's; apt's proxies are taken over by mmdebstrap.
  mirror=$(apt-get indextargets --format '$(SITE)' 'Origin: Debian' | sed -n 1p)
  mmdebstrap --quiet --variant=minbase --include=$packages trixie "$cache/trixie.new" $mirror >&2
  mv "$cache/trixie.new" "$cache/trixie"
fi
echo "$cache/trixie"
