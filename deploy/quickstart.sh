#!/usr/bin/env bash
# A whole cluster on this machine in one command: installs what is missing (the package in .venv, etcd and a DHCP client
# from the distribution), then runs `everlease quickstart`. Can be repeated. As root it lives in network namespaces of
# its own; without root on loopback ports, with a client of our own.
#
#   ./deploy/quickstart.sh [--once]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/machine.sh
. deploy/machine.sh

packages=(etcd-server etcd-client)
[ "$(id -u)" != 0 ] || packages+=(udhcpc iproute2 nftables)
install_packages "${packages[@]}"
prepare_environment uvloop
exec .venv/bin/everlease quickstart "$@"
