#!/bin/sh
# Every check that needs no root, each named as it runs; stops at the first that fails.
#   check.sh static   all but the unit tests, for who runs every test anyway
set -eu
step() { echo "check: $1"; shift; "$@"; }
step 'types (tsc)' tsc
step 'lint with types (eslint)' eslint --cache --cache-location out/eslint/ .
step 'format (prettier)' prettier --check --log-level warn --cache --cache-location out/prettier .
step 'import rules and cycles (dependency-cruiser)' depcruise --config .dependency-cruiser.cjs --output-type err \
  manifest client service fuse daemon demo drill
step 'dead code and dependencies (knip)' knip --no-progress
[ "${1:-}" = static ] || step 'unit tests (vitest)' vitest run --project unit
