#!/usr/bin/env bash
# Every check of the project by one command, on a fresh Debian or Ubuntu with Python 3.11 to 3.13. It installs what is
# missing, can be repeated (the second run installs nothing), and closes with pytest's summary line.
#
#   ./tests/run.sh                      everything that CI runs: format, lint, types, layers, then all tests but the slow ones
#   ./tests/run.sh PART [ARGUMENT...]   one part; further arguments go to pytest (or to the benchmark)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  etcd-server etcd-client                                     # the store
  kea-admin kea-dhcp4-server                                  # perfdhcp, and the peer in benchmarks
  isc-dhcp-client udhcpc dhcpcd-base systemd isc-dhcp-relay   # real clients and a real relay
  tshark tcpdump openssl                                      # other people's eyes on our packets
  iproute2 nftables ethtool procps e2fsprogs strace faketime  # the lab: networks, faults, clocks
)
services=(etcd kea-dhcp4-server isc-dhcp-relay isc-dhcp-relay6 dhcpcd)
unit_folders=(tests/wire tests/core tests/config tests/admin tests/cli tests/proto tests/bench)

usage() {
  cat <<'TEXT'
usage: ./tests/run.sh [PART [ARGUMENT...]]

  format lint types layers   what is read without running it (ruff, mypy, import-linter)
  unit                       pure tests: wire, core, config, edges; seconds, no root
  store                      the store's contract, on memory and on a real etcd
  runtime                    sockets, committer, membership: two nodes joined by hand
  clients                    dhclient, udhcpc, dhcpcd, systemd-networkd and dhcrelay, each in a network namespace
  cluster                    processes and etcd in namespaces: kill, pause, cut
  fuzz                       the parsers, for longer than CI does
  build                      pip install ., sdist -> wheel, editable, each in an empty environment
  bench [--short]            Kea alone, Kea hot-standby and Everlease, side by side (see tests/bench)
  NAME                       any other folder tests/NAME, or file tests/test_NAME.py
TEXT
}

heading() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "run.sh: $*" >&2; }

# --- the machine -----------------------------------------------------------------------------------------------------

become_root() {  # prints the prefix that makes a command root's; fails where there is none
  if [ "$(id -u)" = 0 ]; then echo env; return; fi
  command -v sudo >/dev/null || return 1
  if sudo -n true 2>/dev/null || [ -t 0 ]; then echo sudo; else return 1; fi
}

missing_packages() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null)" = 'ii ' ] || echo "$name"
  done
}

install_packages() {
  local missing root
  command -v dpkg-query >/dev/null || { say "not a Debian system: please provide $*"; return; }
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  root=$(become_root) || { say "these packages are missing: sudo apt-get install ${missing[*]}"; return; }
  heading "packages: ${missing[*]}"
  hold_daemons "$root"
  $root apt-get update -qq </dev/null
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
  release_daemons "$root"
}

# A test tool that starts to serve DHCP or to listen on etcd's port would harm the machine it was installed on, now by
# its package's script or later at the next boot.
hold_daemons() {
  held=()
  local service
  for service in "${services[@]}"; do
    [ -e "/lib/systemd/system/$service.service" ] || [ -e "/etc/init.d/$service" ] || held+=("$service")
  done
  [ ! -e /usr/sbin/policy-rc.d ] || return 0
  policy_root=$1
  trap 'release_policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | $1 tee /usr/sbin/policy-rc.d >/dev/null
  $1 chmod 755 /usr/sbin/policy-rc.d
}

release_policy() {
  [ -z "${policy_root:-}" ] || $policy_root rm -f /usr/sbin/policy-rc.d
  policy_root=
}

release_daemons() {
  release_policy
  command -v systemctl >/dev/null || return 0
  local service
  for service in ${held[@]+"${held[@]}"}; do
    $1 systemctl disable "$service.service" >/dev/null 2>&1 || true  # a service that its package did not bring
  done
}

# --- Python ----------------------------------------------------------------------------------------------------------

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$name"; return
    fi
  done
  say "no Python 3.11, 3.12 or 3.13 found: sudo apt-get install python3 python3-venv"
  return 1
}

prepare_environment() {
  local python wanted
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    heading "environment: .venv ($("$python" --version))"
    "$python" -m venv .venv
  fi
  wanted=$(cat pyproject.toml constraints.txt .venv/pyvenv.cfg | sha256sum)
  if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
    heading "environment: the package, editable, and its tools"
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,uvloop]' </dev/null
    echo "$wanted" >.venv/installed
  fi
  wanted=$(find proto -type f \( -name '*.proto' -o -name '*.py' \) -print0 | sort -z | xargs -0 sha256sum)
  if [ ! -d node/everlease/pb ] || [ "$(cat .venv/generated 2>/dev/null)" != "$wanted" ]; then
    .venv/bin/python proto/generate.py
    echo "$wanted" >.venv/generated
  fi
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
      prepare_environment
      heading "$part"
      "check_$part"
      return ;;
    bench) where=bench ;;
    unit) where=unit ;;
    *)
      where=$(part_path "$part") || { say "there is no part '$part'"; usage >&2; return 2; } ;;
  esac
  if [ "$part" = unit ]; then install_packages tshark openssl; else install_packages "${packages[@]}"; fi
  prepare_environment
  heading "$part"
  case $where in
    bench) PYTHONPATH=tests .venv/bin/python -m bench "$@" ;;
    unit)
      mapfile -t folders < <(folders_that_exist "${unit_folders[@]}")
      run_pytest -m 'not slow' "${folders[@]}" "$@" ;;
    *) run_pytest "$where" "$@" ;;
  esac
}

part_path() {
  local path
  for path in "tests/$1" "tests/test_$1.py"; do
    [ ! -e "$path" ] || { echo "$path"; return; }
  done
  return 1
}

run_everything() {
  local part failed=()
  install_packages "${packages[@]}"
  prepare_environment
  for part in format lint types layers; do
    heading "$part"
    "check_$part" || failed+=("$part")
  done
  heading "tests"
  run_pytest -m 'not slow' --durations=10 tests || failed+=("tests")
  [ ${#failed[@]} -eq 0 ] || { say "failed: ${failed[*]}"; return 1; }
}

if [ $# -eq 0 ]; then run_everything; else run_part "$@"; fi
