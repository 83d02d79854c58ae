# To be sourced by bash scripts that need packages: what is missing gets installed, and nothing is asked twice.
# Everything is fetched by name through apt and npm, as this machine has them set up.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/build/tools

# What building takes; deploy/images/Dockerfile has no other list.
build_packages=(
  g++ cmake ninja-build pkg-config protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libabsl-dev
  libpistache-dev libwebsocketpp-dev libasio-dev libhiredis-dev libhttp-parser-dev rapidjson-dev libssl-dev zlib1g-dev
  libspdlog-dev libfmt-dev prometheus-cpp-dev
)
# What building and running takes.
run_packages=("${build_packages[@]}" redis-server util-linux)
# What testing takes on top. ccache makes the second build fast; clang is for the fuzz build; python3-* and go* are clients.
test_packages=(
  haproxy libgtest-dev libgmock-dev ccache clang clang-format chromium procps curl openssl
  python3-socketio python3-aiohttp python3-requests python3-websocket python3-grpcio python3-protobuf mypy
  golang-go golang-google-grpc-dev golang-github-golang-protobuf-1-5-dev protoc-gen-go protoc-gen-go-grpc
)
# What building and running images takes.
image_packages=(buildah podman runc mmdebstrap uidmap)
# What a cluster on this machine takes; tests/k8s/cluster builds the rest.
cluster_packages=(etcd-server containerd runc containernetworking-plugins iptables conntrack iproute2 openssl)

# The oldest Node that our npm packages accept, and what is taken from npm where Debian's own is older.
node_oldest=20
node_pinned=22.23.3

say() { echo "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# Runs a long command in a group of its own, which ends when this script is told to.
step_group=
step() {
  local result=0
  set -m  # a group, and no signal ignored
  "$@" &
  step_group=$!
  set +m
  wait "$step_group" || result=$?
  step_group=
  return "$result"
}
end_step() { [ -z "$step_group" ] || kill -TERM -- "-$step_group" 2>/dev/null || true; }
trap 'end_step; exit 130' INT
trap 'end_step; exit 143' TERM HUP

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else
    command -v sudo >/dev/null || die "to install packages, run as root, or install sudo"
    sudo "$@"
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq -y "$@"
}

# need_packages NAME...: installs those that are missing. Waits for another apt, and tries three times.
need_packages() {
  local missing=() name try log=$tools/apt.log
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | head -n 1)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Installing ${missing[*]}"
  mkdir -p "$tools"
  for try in 1 2 3; do
    apt update >"$log" 2>&1 && apt --no-install-recommends install "${missing[@]}" >>"$log" 2>&1 && return 0
    say "apt failed (try $try of 3); its last lines:"
    tail -n 5 "$log" >&2
    [ "$try" = 3 ] || sleep 5
  done
  die "could not install: ${missing[*]}"
}

node_major() { node -v 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

# Puts a Node that is new enough on PATH: the one that is there, else one from npm under build/tools.
use_node() {
  local own=$tools/node/node_modules/node/bin
  [ "$(node_major || true)" -ge "$node_oldest" ] 2>/dev/null && return 0
  [ -x "$own/node" ] && export PATH="$own:$PATH"
  [ "$(node_major || true)" -ge "$node_oldest" ] 2>/dev/null
}
need_node() {
  command -v npm >/dev/null || need_packages npm
  use_node && return 0
  say "Node $(node -v 2>/dev/null || echo is missing): taking $node_pinned from npm"
  mkdir -p "$tools/node"
  step npm install --prefix "$tools/node" --no-audit --no-fund --no-save "node@$node_pinned" || die "could not install node $node_pinned"
  use_node || die "node $node_pinned does not start"
}

# need_npm FOLDER...: what the folder's lock file names, unless exactly that is already there.
need_npm() {
  local folder stamp
  for folder in "$@"; do
    stamp=$(sha256sum <"$root/$folder/package-lock.json")
    [ "$(cat "$root/$folder/node_modules/.stamp" 2>/dev/null)" = "$stamp" ] && continue
    say "npm ci in $folder"
    step npm --prefix "$root/$folder" ci --no-audit --no-fund || die "npm ci failed in $folder"
    echo "$stamp" >"$root/$folder/node_modules/.stamp"
  done
}

# build_services [TARGET...]: the services as they are shipped, without the tests; none named: all three.
build_services() {
  [ $# -gt 0 ] || set -- sesior-session sesior-rest sesior-realtime
  [ -f "$root/build/release/build.ninja" ] || (cd "$root" && step cmake --preset release -D SESIOR_TESTS=OFF) || die "cmake failed"
  step cmake --build "$root/build/release" --target "$@" || die "the build failed"
}
