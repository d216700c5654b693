# Sourced by tests/run.sh and deploy/quickstart.sh, from the project's root: what is missing on a fresh Debian or Ubuntu
# is installed, once. Debian's packages; the environment .venv; the code generated from proto/.

services=(etcd kea-dhcp4-server isc-dhcp-relay isc-dhcp-relay6 dhcpcd prometheus)

heading() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$(basename "$0"): $*" >&2; }

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

find_python() {  # the distribution's first: it is built with optimisations that a home-made one often lacks
  local name
  for name in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$name"; return
    fi
  done
  say "no Python 3.11, 3.12 or 3.13 found: sudo apt-get install python3 python3-venv"
  return 1
}

prepare_environment() {  # "$1": extras of the package; tests need dev, and who has dev lacks nothing
  local python wanted extras=$1
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    heading "environment: .venv ($("$python" --version))"
    "$python" -m venv .venv
  fi
  # What the build hook generates from proto/ belongs to it.
  wanted=$(find proto -type f -name '*.p*' ! -name '*.pyc' -print0 | sort -z | xargs -0 cat pyproject.toml constraints.txt \
    .venv/pyvenv.cfg | sha256sum)
  if [ ! -d node/everlease/pb ] || { [ "$(cat .venv/installed-dev 2>/dev/null)" != "$wanted" ] &&
    [ "$(cat ".venv/installed-$extras" 2>/dev/null)" != "$wanted" ]; }; then
    heading "environment: the package, editable, with $extras"
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[uvloop,$extras]" </dev/null
    echo "$wanted" >".venv/installed-$extras"
  fi
}
