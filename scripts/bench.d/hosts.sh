# shellcheck shell=bash
# Builders on other machines, three against one: daemons that see nothing of this machine's files and have the same small
# share of its processors each, so that three of them take no more than there is. Sourced by scripts/bench.

# log, work, xbuild, root, docker, daemon: set by scripts/bench and the files beside this one.
# shellcheck disable=SC2154
hosts=()

line_hosts() {
  local project=$work/hosts-project share run name one=() three=()
  if [ -z "$daemon" ]; then
    say "left out: it takes Docker daemons"
    return
  fi
  cp -r "$root/examples/pcap-go" "$project"
  remove "$project/dist"
  printf '/dist/\n' >>"$project/.gitignore"
  commit "$project"
  xbuild_in "$work/store" "$project" toolchain >>"$log" 2>&1 || fail "toolchain"
  share=$(calculate "$(nproc) / 3")
  for name in 1 2 3; do start_host "$name" "$share"; done
  for name in 1 2 3; do
    on_hosts "$project" "$name" toolchain >>"$log" 2>&1 || fail "toolchain --builders"
  done
  for ((run = 0; run < $(how_often 1); run++)); do
    changed "$project" "$run a"
    clock one on_hosts "$project" 1 binaries
    changed "$project" "$run b"
    clock three on_hosts "$project" '1 2 3' binaries
  done
  # Five programs on three hosts: one host has two of them, whatever is done.
  compare "five architectures, three hosts of $(awk -v s="$share" 'BEGIN { printf "%.2f", s }') processors" \
    "$(median "${three[@]}")" "one of them" "$(median "${one[@]}")" 0.5 0.4
}

# The port of a host on loopback.
host_port() { echo $((20000 + $$ % 20000 + $1)); }

# on_hosts PROJECT 'NAME..' ARGUMENT..: xbuild with these hosts for all architectures.
on_hosts() {
  local project=$1 builders='' name arch
  for name in $2; do
    for arch in amd64 arm arm64 ppc64le s390x; do
      builders+=,linux/$arch=tcp://127.0.0.1:$(host_port "$name")
    done
  done
  shift 2
  xbuild_in "$work/store" "$project" --builders "${builders#,}" "$@"
}

# A change of the project, and no host remembers what it has compiled.
changed() {
  local name
  printf '\n// %s\n' "$2" >>"$1/main.go"
  for name in 1 2 3; do
    $docker -H "tcp://127.0.0.1:$(host_port "$name")" volume ls -q --filter name=xbuild-cache- |
      xargs -r "$docker" -H "tcp://127.0.0.1:$(host_port "$name")" volume rm >>"$log" 2>&1 || fail "docker volume rm"
  done
}

# start_host NAME PROCESSORS
start_host() {
  local folder=$work/host-$1 group=xbuild-bench-$$-$1 quota tries
  quota=$(awk -v s="$2" 'BEGIN { printf "%d", s * 100000 }')
  mkdir -p "$folder"
  echo "{}" >"$folder/config.json"
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
    mkdir "/sys/fs/cgroup/$group"
    echo "$quota 100000" >"/sys/fs/cgroup/$group/cpu.max"
  else
    mkdir "/sys/fs/cgroup/cpu/$group"
    echo 100000 >"/sys/fs/cgroup/cpu/$group/cpu.cfs_period_us"
    echo "$quota" >"/sys/fs/cgroup/cpu/$group/cpu.cfs_quota_us"
  fi
  # Without the store it sees no file of this machine that xbuild asks about.
  # shellcheck disable=SC2016
  setsid unshare --mount sh -c 'mount -t tmpfs none "$1" && shift && exec dockerd "$@"' sh "$work/store" \
    --host "tcp://127.0.0.1:$(host_port "$1")" --tls=false --data-root "$folder/data" --exec-root "$folder/run" \
    --pidfile "$folder/pid" --config-file "$folder/config.json" --bridge none --storage-driver overlay2 \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >"$folder/log" 2>&1 &
  hosts+=("$!")
  for tries in {1..200}; do
    $docker -H "tcp://127.0.0.1:$(host_port "$1")" version >/dev/null 2>&1 && return
    if [ "$tries" = 200 ] || ! kill -0 "${hosts[-1]}" 2>/dev/null; then break; fi
    sleep 0.2
  done
  cp "$folder/log" "$log"
  fail dockerd
}

stop_hosts() {
  local pid
  for pid in "${hosts[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  hosts=()
  # The daemons have made more of them, for what else they count.
  find /sys/fs/cgroup -depth -type d -path "*/xbuild-bench-$$-*" -exec rmdir {} + 2>/dev/null || true
}
