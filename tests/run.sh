#!/usr/bin/env bash
# Every check of the project by one command, on a fresh Debian or Ubuntu with Python 3.11 to 3.13. It installs what is
# missing, can be repeated (the second run installs nothing), and closes with pytest's summary line.
#
#   ./tests/run.sh                      everything that CI runs: format, lint, types, layers, then all tests but the slow ones
#   ./tests/run.sh PART [ARGUMENT...]   one part; further arguments go to pytest (or to the benchmark)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/machine.sh
. deploy/machine.sh

packages=(
  etcd-server etcd-client                                     # the store
  kea-admin kea-dhcp4-server                                  # perfdhcp, and the peer in benchmarks
  isc-dhcp-client udhcpc dhcpcd-base systemd isc-dhcp-relay   # real clients and a real relay
  tshark tcpdump openssl prometheus                           # other people's eyes on our packets and metrics
  iproute2 nftables conntrack ethtool procps e2fsprogs        # the lab: networks, disks
  strace faketime                                             # and faults, clocks
  chromium chromium-driver fonts-dejavu-core                  # a real browser for the console
  docker-compose                                              # reads deploy/compose.yaml; no engine
)
unit_folders=(tests/wire tests/core tests/config tests/admin tests/backup tests/cli tests/client tests/proto tests/bench)

usage() {
  cat <<'TEXT'
usage: ./tests/run.sh [PART [ARGUMENT...]]

  format lint types layers   what is read without running it (ruff, mypy, import-linter)
  unit                       pure tests: wire, core, config, edges; seconds, no root
  store                      the store's contract, on memory and on a real etcd
  runtime                    sockets, committer, membership: two nodes joined by hand
  admin                      the admin API, alone and on three nodes with a real etcd: gRPC, Python client, command line
  clients                    dhclient, udhcpc, dhcpcd, systemd-networkd and dhcrelay, each in a network namespace
  cluster                    processes and etcd in namespaces: kill, pause, cut
  faults [ID...]             every fault, or those named (F9, F22-drift, drill; ids in tests/faults/README.md)
  planted                    seven bugs planted in the service, each of which the history checker must name
  fuzz                       the parsers, for longer than CI does
  observe                    rules, dashboards and histograms, on a real Prometheus under faults and on the wire
  helm                       the chart: linted, rendered, validated; --rewrite-manifests writes its golden manifests anew
  relaymode                  relay mode behind load balancers as kube-proxy makes them, in network namespaces
  upgrade                    nodes replaced one by one by a next version, under load
  packaging                  image, compose and systemd units, by their own tools and without Docker
  doctor                     what `everlease doctor` says of what is well and what is not
  build                      pip install ., sdist -> wheel, editable, from an empty environment on
  console                    the console in Chromium on a cluster of three: what it shows equals the API
  pictures                   those of docs/console.md, drawn anew (three minutes)
  bench [--short]            Kea alone, Kea hot-standby and Everlease, side by side (see tests/bench)
  bench-listing              what a list of a million leases costs the clients that are served meanwhile
  bench-saving               what backups, one after the other, cost them
  incident [--short]         one server's storage full, then frozen: who answered, second by second, here and with Kea
  simulate [--seeds N]       nodes, clients and etcd under a seeded loop with virtual time; --seed N replays one
  NAME                       any other folder tests/NAME, or file tests/test_NAME.py
TEXT
}

# --- the parts -------------------------------------------------------------------------------------------------------

check_format() { .venv/bin/ruff format --check .; }
check_lint() { .venv/bin/ruff check .; }
check_types() { .venv/bin/mypy; }
check_layers() { .venv/bin/lint-imports; }

run_pytest() {  # in CI a skipped test is a failed one: tests/noskips.py
  local plugins=()
  [ -z "${CI:-}" ] || plugins=(-p noskips)
  .venv/bin/python -m pytest ${plugins[@]+"${plugins[@]}"} "$@"
}

folders_that_exist() {
  local folder
  for folder in "$@"; do [ ! -d "$folder" ] || echo "$folder"; done
}

run_part() {
  local part=$1 where folders
  shift
  case $part in
    -h | --help | help) usage; return ;;
    format | lint | types | layers)
      prepare_environment dev
      heading "$part"
      "check_$part"
      return ;;
    bench | incident | simulate) where=$part ;;
    bench-*) where=bench ;;  # another one of tests/bench
    pictures) where=pictures ;;
    unit) where=unit ;;
    *)
      where=$(part_path "$part") || { say "there is no part '$part'"; usage >&2; return 2; } ;;
  esac
  case $part in
    unit) install_packages tshark openssl prometheus ;;
    simulate) ;;  # Python alone
    *) install_packages "${packages[@]}" ;;
  esac
  prepare_environment dev
  heading "$part"
  case $where in
    bench | incident | simulate) PYTHONPATH=tests .venv/bin/python -m "${part/-/.}" "$@" ;;
    pictures) PYTHONPATH=tests .venv/bin/python -m console "$@" ;;
    tests/faults)  # ids are words, what begins with a dash is pytest's
      while [[ ${1:-} =~ ^[A-Za-z] ]]; do FAULTS="${FAULTS:-} $1" && shift; done
      FAULTS=${FAULTS:-} run_pytest "$where" "$@" ;;
    unit)
      mapfile -t folders < <(folders_that_exist "${unit_folders[@]}")
      run_pytest -m 'not slow and not root and not etcd' "${folders[@]}" "$@" ;;
    *) run_pytest "$where" "$@" ;;
  esac
}

part_path() {
  local path
  for path in "tests/$1" "tests/test_$1.py" "tests/faults/$1"; do
    [ ! -e "$path" ] || { echo "$path"; return; }
  done
  return 1
}

run_everything() {
  local part failed=()
  install_packages "${packages[@]}"
  prepare_environment dev
  for part in format lint types layers; do
    heading "$part"
    "check_$part" || failed+=("$part")
  done
  heading "tests that can wait, three at a time"  # on two cores: much of it is waiting
  run_pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not slow and not alone' tests ||
    failed+=("tests three at a time")
  heading "tests that mind how long something takes, one by one"
  run_pytest -m 'not slow and alone' --durations=10 tests || failed+=("tests one by one")
  [ ${#failed[@]} -eq 0 ] || { say "failed: ${failed[*]}"; return 1; }
}

if [ $# -eq 0 ]; then run_everything; else run_part "$@"; fi
