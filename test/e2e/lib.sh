# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts here. POSTERN names the binary under test.
set -euo pipefail
: "${POSTERN:?the path of the postern binary}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

die() { echo "FAILED: $*" >&2; exit 1; }

# run STATUS COMMAND...: runs it, keeps its output in $scratch/out, requires the exit status.
run() {
  local expected=$1 status=0
  shift
  "$@" >"$scratch/out" 2>&1 || status=$?
  if [ "$status" -ne "$expected" ]; then
    tail -n 60 "$scratch/out" >&2
    die "exit status $status instead of $expected: $*"
  fi
}

# says TEXT: the last run printed it.
says() {
  grep -qF -- "$1" "$scratch/out" || { tail -n 60 "$scratch/out" >&2; die "did not say: $1"; }
}

# Ends the test as skipped (77) where BPF programs may not be loaded; any other trouble is a failure.
needs_bpf() {
  local status=0
  "$POSTERN" test --backend tc scenarios/examples/web-and-database.yaml >"$scratch/probe" 2>&1 || status=$?
  [ "$status" -eq 2 ] || return 0
  head -n 3 "$scratch/probe"
  exit 77
}
