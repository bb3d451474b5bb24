#!/usr/bin/env bash
# All tests: npm test [-- PATTERN...]. Makes everything ready first. The last line is `N passed, N failed`, summed over
# the Rust and the TypeScript tests; the status is 0 only when nothing failed, crashed, hung or was left out.
# With patterns (parts of file names) only those TypeScript tests run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh
PATH="$PATH:$HOME/.cargo/bin:/usr/sbin"

(
  set -e
  check_node
  packages busybox=busybox-static skopeo=skopeo umoci=umoci podman=podman dockerd=docker.io \
    docker-registry=docker-registry htpasswd=apache2-utils tmux=tmux python3=python3 xz=xz-utils bzip2=bzip2 zstd=zstd \
    git=git setpriv=util-linux mmdebstrap=mmdebstrap newuidmap=uidmap useradd=passwd getcap=libcap2-bin getfattr=attr \
    ssh-agent=openssh-client
  npm_packages
  build_native
  build_dist
) || {
  echo "0 passed, 1 failed"
  exit 1
}

passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ $# = 0 ]; then
  note "Rust tests"
  cargo test --quiet --manifest-path native/Cargo.toml 2>&1 | tee "$work/cargo"
  status=${PIPESTATUS[0]}
  read -r passed failed < <(awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$work/cargo")
  if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
fi

note "TypeScript tests"
node scripts/run-tests.mjs --count-file "$work/count" "$@"
if [ -s "$work/count" ]; then
  read -r more bad <"$work/count"
  passed=$((passed + more))
  failed=$((failed + bad))
else
  failed=$((failed + 1))
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
