#!/usr/bin/env bash
# Feeds the parser and what comes next made and changed texts: npm run fuzz [-- OPTIONS], see fuzz/main.ts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

check_node
npm_packages
exec node --import tsx fuzz/main.ts "$@"
