#!/bin/sh
# Installs what the system tests drive: real clients, real mail programs, tcpserver. Quick when all of it is there; run as root.
# exim and msmtpd come in packages that exclude postfix, so they are unpacked into $ACCEPTD_TEST_CACHE instead.
set -eu
cache=${ACCEPTD_TEST_CACHE:-/var/cache/acceptd-test}
PATH=$PATH:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

die() {
  echo "packages.sh: $*" >&2
  exit 1
}

# a file that proves the package, and the package
wanted='
/usr/bin/swaks swaks
/usr/share/perl5/Net/SSLeay.pm|/usr/lib/*/perl5/*/Net/SSLeay.pm libnet-ssleay-perl
/usr/bin/python3 python3
/usr/bin/curl curl
/usr/bin/msmtp msmtp
/usr/bin/mpop mpop
/usr/bin/fetchmail fetchmail
/usr/bin/s-nail s-nail
/usr/bin/mutt mutt
/usr/bin/go golang-go
/usr/lib/*/sasl2/libplain.so libsasl2-modules
/usr/bin/sslscan sslscan
/usr/bin/testssl testssl.sh
/usr/bin/cdb tinycdb
/usr/sbin/haproxy haproxy
/usr/bin/nmap nmap
/usr/bin/redis-server redis-server
/sbin/ip|/usr/sbin/ip iproute2
/usr/lib/python3/dist-packages/yaml/__init__.py python3-yaml
/usr/bin/socat socat
/usr/bin/fail2ban-server fail2ban
/usr/bin/jq jq
/usr/bin/promtool prometheus
/usr/bin/tcpserver ucspi-tcp
/usr/bin/softlimit daemontools
/usr/include/openssl/ssl.h libssl-dev
/usr/sbin/postdrop postfix
/usr/bin/doveconf dovecot-core
/usr/lib/dovecot/pop3 dovecot-pop3d
/usr/sbin/pop3front-maildir mailfront
/usr/bin/openssl openssl
/usr/bin/valgrind valgrind
/usr/bin/mandoc mandoc
/bin/ps procps
/usr/sbin/useradd passwd
/usr/bin/flock util-linux
/usr/bin/mmdebstrap mmdebstrap
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
/usr/bin/faketime faketime
/usr/bin/systemd-nspawn systemd-container
/usr/bin/cc gcc
/usr/bin/make make
/usr/bin/zsh zsh
/usr/bin/fish fish
'
unpacked='exim4-daemon-light msmtp-mta'

present() { # FILE or FILE|FILE, with wildcards
  for pattern in $(echo "$1" | tr '|' ' '); do
    # an unmatched pattern stays as it is and is no file
    for file in $pattern; do [ -e "$file" ] && return 0; done
  done
  return 1
}

missing() {
  echo "$wanted" | while read -r file package; do
    [ -z "$file" ] || present "$file" || echo "$package"
  done
}

# apt-get, once more after an update if it fails: a machine's lists may be absent or older than the archive
apt() {
  "$@" >"$log" 2>&1 && return 0
  apt-get update >>"$log" 2>&1 || true
  "$@" >>"$log" 2>&1 && return 0
  tail -n 20 "$log" >&2
  return 1
}

packages=$(missing)
[ -n "$packages" ] || [ ! -x "$cache/root/usr/sbin/exim4" ] || [ ! -x "$cache/root/usr/bin/msmtpd" ] || exit 0

[ "$(id -u)" = 0 ] || die 'these have to be installed, by root:' $packages $unpacked
command -v apt-get >/dev/null || die 'this is not Debian; install by hand:' $packages $unpacked
mkdir -p "$cache"
log=$cache/apt.log

# nothing of what is installed here may start a service
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
fi

if [ -n "$packages" ]; then
  echo "installing" $packages
  if command -v debconf-set-selections >/dev/null; then
    debconf-set-selections <<-END
	postfix postfix/main_mailer_type select No configuration
	postfix postfix/mailname string acceptd.test
	END
  fi
  apt apt-get install -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends $packages || die "apt-get install failed (see $log):" $packages
fi

# The set-up of postfix's queue (owners, postdrop setgid) needs a main.cf; the tests use their own beside it.
if [ ! -e /etc/postfix/main.cf ]; then
  mkdir -p /etc/postfix
  cat >/etc/postfix/main.cf <<-END
	compatibility_level = 3.6
	inet_interfaces = loopback-only
	mydestination =
	default_transport = error: made by the acceptd system tests
	END
fi

rm -rf "$cache/root" "$cache/debs"
mkdir -p "$cache/root" "$cache/debs"
chmod 777 "$cache/debs" # apt-get download fetches as _apt
(cd "$cache/debs" && apt apt-get download $unpacked) || die "apt-get download failed (see $log):" $unpacked
for deb in "$cache"/debs/*.deb; do
  # A setuid exim ignores LD_LIBRARY_PATH, so the libraries are installed; they exclude nothing.
  libraries=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/[ (|].*//' | grep '^lib' | sort -u)
  apt apt-get install -y -q -o DPkg::Lock::Timeout=300 --no-install-recommends $libraries || die "apt-get install failed (see $log):" $libraries
  dpkg-deb -x "$deb" "$cache/root"
done
rm -rf "$cache/debs"
# exim finds its user by name when it runs
getent passwd Debian-exim >/dev/null ||
  useradd --system --user-group --no-create-home --home-dir /var/spool/exim4 --shell /usr/sbin/nologin Debian-exim
chown root:root "$cache/root/usr/sbin/exim4"
chmod 4755 "$cache/root/usr/sbin/exim4"

packages=$(missing)
[ -z "$packages" ] || die 'still missing after the installation:' $packages
for program in usr/sbin/exim4 usr/bin/msmtpd; do
  [ -x "$cache/root/$program" ] || die "$program is in none of the packages $unpacked"
done
