#!/usr/bin/env bash
# Kills builds with -9 at random moments: npm run soak [-- OPTIONS], see bench/soak.ts. Makes everything ready first; needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin"

check_node
packages busybox=busybox-static dockerd=docker.io setpriv=util-linux newuidmap=uidmap useradd=passwd
npm_packages
build_native
build_dist
exec node --import tsx bench/soak.ts "$@"
