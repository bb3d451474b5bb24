# Sourced by the other scripts: functions that make a fresh machine ready. Nothing here runs by itself.

note() { printf '%s\n' "-- $*" >&2; }
stop() {
  printf '%s\n' "error: $*" >&2
  exit 1
}

# newer OUTPUT INPUT...: whether OUTPUT is there and no file of the inputs is younger.
newer() {
  local output=$1
  shift
  [ -e "$output" ] && [ -z "$(find "$@" -path '*/target' -prune -o -type f -newer "$output" -print -quit 2>/dev/null)" ]
}

# packages PROGRAM=PACKAGE...: installs the Debian packages whose programs are missing, when that is possible.
packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 || [ -x "/usr/sbin/${pair%%=*}" ] || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    note "not installed, and only root on Debian or Ubuntu can have it done here: ${missing[*]}"
    return 0
  fi
  note "installing ${missing[*]}"
  apt-get update -qq
  # No service is to be started: tests start their own, on sockets of their own.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made=1
  fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
  [ -z "$made" ] || rm -f "$policy"
  [ "$status" = 0 ] || stop "apt-get could not install ${missing[*]}"
}

check_node() {
  command -v node >/dev/null || stop "Node.js is not installed; kbuild needs version 20 or later (https://nodejs.org)."
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || stop "this is Node.js $(node -v); kbuild needs version 20 or later."
}

npm_packages() {
  newer node_modules/.package-lock.json package-lock.json && return 0
  note "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
}

build_native() {
  local mark=native/target/.built
  [ -e dist/kbuild-native ] && newer "$mark" native/src native/Cargo.toml native/Cargo.lock scripts/build-native.mjs && return 0
  PATH="$PATH:$HOME/.cargo/bin"
  command -v cargo >/dev/null || stop "cargo is not installed; the core of kbuild is written in Rust (https://rustup.rs)."
  note "building the Rust core"
  npm run --silent build:native >&2
  mkdir -p "${mark%/*}"
  touch "$mark"
}

build_dist() {
  local mark=dist/.built
  [ -e dist/kbuild.cjs ] && newer "$mark" src scripts/build.mjs package.json tsconfig.json && return 0
  note "building the command line and the API"
  npm run --silent build >&2
  touch "$mark"
}
