#!/bin/sh
# Every test; with arguments, those that they name (as vitest reads them).
# First what is pure and what needs only a service, two files at once; then what needs the kernel: the tests of mounts, one after
# the other, and beside them those of containers, one after the other. Each of these waits most of its time.
set -eu
[ $# -eq 0 ] || exec vitest run "$@"
failed=
attempt() { "$@" || failed=yes; }
attempt vitest run --project unit --project service
mkdir -p out
vitest run --project container >out/test-container.log 2>&1 &
containers=$!
trap 'kill $containers 2>/dev/null' INT TERM
attempt vitest run --project mount
attempt wait $containers
cat out/test-container.log
[ -z "$failed" ]
