#!/bin/sh
# What a node of Everlease may do in etcd, and nothing else: read and write below its prefix.
#
#   deploy/etcd/role.sh COMMON_NAME [PREFIX]
#
# COMMON_NAME is that of the certificate that the nodes show (--etcd-cert); PREFIX is /everlease unless the nodes have
# another --prefix. Run it as etcd's root: with etcdctl's own variables (ETCDCTL_ENDPOINTS, ETCDCTL_CACERT,
# ETCDCTL_CERT, ETCDCTL_KEY, or ETCDCTL_USER). It may be run again. It does not switch authentication on; that is, once
# there is a user "root" with the role "root":   etcdctl auth enable
set -eu

name=${1:?"usage: $0 COMMON_NAME [PREFIX]"}
prefix=${2:-/everlease}
prefix=${prefix%/}
export ETCDCTL_API=3

etcdctl role get everlease >/dev/null 2>&1 || etcdctl role add everlease
# The range ends at "0", which follows "/" in ASCII: /everlease2 is somebody else's.
etcdctl role grant-permission everlease readwrite "$prefix/" "${prefix}0"
# Without a password nobody signs in by name: only the certificate says who it is.
etcdctl user get "$name" >/dev/null 2>&1 || etcdctl user add "$name" --no-password
etcdctl user grant-role "$name" everlease
