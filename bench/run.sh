#!/usr/bin/env bash
# The benchmark: npm run bench [-- OPTIONS], see bench/README.md. Makes everything ready first. Settings: BENCH_FOLDER (where
# workloads, stores and results go, about 10 GB), BENCH_USER (the plain account that rootless builders run as).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh
PATH="$PATH:$HOME/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin"
export BENCH_FOLDER="${BENCH_FOLDER:-/tmp/kbuild-bench}"
export BENCH_USER="${BENCH_USER:-kbuild-bench}"

check_node
for word in "$@"; do
  case $word in
    -h | --help | --list)
      npm_packages
      exec node --import tsx bench/main.ts "$word"
      ;;
    --parse | --scan)
      npm_packages
      build_native
      build_dist
      exec node --import tsx bench/main.ts "$word"
      ;;
  esac
done

packages buildah=buildah dockerd=docker.io docker-registry=docker-registry skopeo=skopeo newuidmap=uidmap \
  runc=runc fuse-overlayfs=fuse-overlayfs setpriv=util-linux tar=tar busybox=busybox-static
npm_packages
build_native
build_dist
note "building the programs that show the bare cost"
cargo build --release --target-dir bench/raw/target --quiet --manifest-path bench/raw/Cargo.toml

mkdir -p "$BENCH_FOLDER"
if [ "$(id -u)" = 0 ] && ! id "$BENCH_USER" >/dev/null 2>&1; then
  note "making the account $BENCH_USER for the builders that need no root"
  touch /etc/subuid /etc/subgid
  useradd --create-home --shell /bin/sh "$BENCH_USER"
fi

exec node --import tsx bench/main.ts "$@"
