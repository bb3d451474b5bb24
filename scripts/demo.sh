#!/usr/bin/env bash
# Builds kbuild, builds the example image with it, and runs the image once if there is a Docker to run it.
# What is up to date already is not made again. Settings: KBUILD_ROOT (the store), KBUILD_DEMO_OFFLINE=1 (do not try
# a registry).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

work="$PWD/dist/demo"
export KBUILD_ROOT="${KBUILD_ROOT:-$work/store}"
archive="$work/web-ping.tar"
done_lines=()
skipped_lines=()

say() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }
show() { printf '$ %s\n' "$*"; "$@"; }
did() { done_lines+=("$*"); }
skipped() { skipped_lines+=("$*"); }
fail() {
  printf '\nThe demo cannot go on: %s\n' "$*" >&2
  exit 1
}
kbuild() { node "$PWD/dist/kbuild.cjs" "$@"; }

# ------------------------------------------------------------------ kbuild itself
mkdir -p "$work"
check_node
npm_packages
build_native
build_dist
did "kbuild: built (npm packages, Rust core, command line)"

# ------------------------------------------------------------------ the base image
# A folder with this machine's own Node.js and the libraries that it needs, laid out as an image's root.
make_base_context() {
  local root="$1/root" node library
  node=$(node -p 'process.execPath')
  mkdir -p "$root/usr/bin" "$root/etc" "$root/root"
  install -d -m 1777 "$root/tmp"
  cp -L "$node" "$root/usr/bin/node"
  { ldd "$node" 2>/dev/null || true; } | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  for library in /etc/ssl/certs/ca-certificates.crt /lib/x86_64-linux-gnu/libnss_dns.so.2 /lib/aarch64-linux-gnu/libnss_dns.so.2; do
    [ -r "$library" ] || continue
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  cat >"$1/Dockerfile" <<DOCKERFILE
FROM scratch
COPY root /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV NODE_VERSION=$(node -p 'process.versions.node')
CMD ["node"]
DOCKERFILE
}

registry_answers() {
  [ -z "${KBUILD_DEMO_OFFLINE:-}" ] || return 1
  node -e '
    const stop = AbortSignal.timeout(4000);
    fetch("https://registry-1.docker.io/v2/", { signal: stop })
      .then((answer) => process.exit(answer.status === 401 || answer.ok ? 0 : 1))
      .catch(() => process.exit(1));
  '
}

make_base() {
  say "Making the base image diamol/node out of this machine's own Node.js"
  local context
  context=$(mktemp -d)
  make_base_context "$context"
  show kbuild -t diamol/node "$context"
  rm -rf "$context"
  did "base image diamol/node: made from $(node -p 'process.execPath') and its libraries"
}

base_is_there() { [ -n "$(kbuild image ls --quiet diamol/node 2>/dev/null)" ]; }

pulled=
if base_is_there; then
  did "base image diamol/node: in the store already"
elif registry_answers; then
  pulled=1
else
  skipped "pulling diamol/node: no registry answered within 4 seconds"
  make_base
fi

# ------------------------------------------------------------------ the image
say "Building web-ping:v2"
build_web_ping() { show kbuild -t web-ping:v2 examples/web-ping; }
if [ -n "$pulled" ]; then
  if build_web_ping; then
    did "base image diamol/node: pulled"
  else
    skipped "pulling diamol/node: the registry answered, but the pull failed (see above)"
    make_base
    build_web_ping
  fi
else
  build_web_ping
fi
did "image web-ping:v2: built into the store $KBUILD_ROOT"

say "Writing it to an archive that docker, podman and skopeo read"
rm -f "$archive"
show kbuild -t web-ping:v2 -o "type=docker,dest=$archive" examples/web-ping
did "archive: ${archive#"$PWD"/} ($(du -m "$archive" | cut -f1) MB)"

say "What is in the store"
show kbuild image ls 'w*'
echo
show kbuild history web-ping:v2

# ------------------------------------------------------------------ running it
run_with_docker() {
  local port log container server address network
  port=$(node -p '20000 + process.pid % 20000')
  log="$work/web-ping.log"
  node -e '
    require("node:http").createServer((request, answer) => answer.end()).listen(Number(process.argv[1]), "127.0.0.1");
  ' "$port" &
  server=$!
  # shellcheck disable=SC2064
  trap "kill $server 2>/dev/null || true" EXIT
  show docker load -i "$archive"
  address="http://127.0.0.1:$port"
  network=host
  container=$(docker run -d --network "$network" -e "TARGET=$address" -e INTERVAL=200 web-ping:v2) || return 1
  for _ in $(seq 50); do
    docker logs "$container" >"$log" 2>&1 || true
    grep -q 'Got response status' "$log" && break
    sleep 0.2
  done
  docker rm -f "$container" >/dev/null
  kill "$server" 2>/dev/null || true
  head -n 5 "$log"
  grep -q 'Got response status: 200' "$log"
}

if ! command -v docker >/dev/null; then
  skipped "running the image: no docker on this machine"
elif ! timeout 10 docker info >/dev/null 2>&1; then
  skipped "running the image: docker is installed, but no daemon answers (try: docker info)"
else
  say "Loading it into docker and running it against a server on loopback"
  if run_with_docker; then
    did "docker: loaded the archive, ran the image, and it got its answers"
  else
    fail "docker did not run the image as expected; its output is in $work/web-ping.log"
  fi
fi

# ------------------------------------------------------------------ in plain words
say "Done"
for line in "${done_lines[@]}"; do printf '  did      %s\n' "$line"; done
for line in ${skipped_lines[@]+"${skipped_lines[@]}"}; do printf '  skipped  %s\n' "$line"; done
printf '\nTo go on:  KBUILD_ROOT=%q node dist/kbuild.cjs --help\n' "$KBUILD_ROOT"
