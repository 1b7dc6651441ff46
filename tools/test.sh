#!/bin/sh
# Every test; with arguments, those that they name (as vitest reads them).
# First what is pure and what needs only a service, two files at once; then what needs the kernel: the tests of mounts, one after
# the other, and beside them those of containers, one after the other. Each of these waits most of its time.
set -eu
rm -f out/test-verdict.log
[ $# -eq 0 ] || exec vitest run "$@"
failed=
attempt() { "$@" || failed=yes; }
mkdir -p out
attempt vitest run --project unit --project service
vitest run --project container >out/test-container.log 2>&1 &
containers=$!
trap 'kill $containers 2>/dev/null' INT TERM
attempt vitest run --project mount
attempt wait $containers
cat out/test-container.log
echo 'What failed, and what was tried again, in all of it:'
cat out/test-verdict.log
[ -z "$failed" ]
