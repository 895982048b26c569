# shellcheck shell=bash
# A Docker daemon of our own, and what else xbuild is compared with. Sourced by scripts/bench.

# log, work, lines, yes: set by scripts/bench.
# shellcheck disable=SC2154
daemon='' bridge=xbbench$$ bridged=no buildkit=no
docker=docker

# Whether a line that was asked for compares with other tools, and this user can run them.
compares() {
  case " ${lines[*]} " in
    *' cold '* | *' five '* | *' further '* | *' start '* | *' package '* | *' many '* | *' steps '* | *' foreign '* | *' engine '* | *' hosts '*) ;;
    *) return 1 ;;
  esac
  [ "$(id -u)" = 0 ] && return
  say "Docker is left out: a daemon of its own takes root"
  return 1
}

versions() {
  [ -n "$daemon" ] || return 0
  printf '; Docker %s%s, mmdebstrap %s, buildah %s' \
    "$($docker version --format '{{.Server.Version}}')" "$([ "$buildkit" = yes ] && echo ' with BuildKit')" \
    "$(mmdebstrap --version | awk '{ print $NF }')" "$(buildah --version | awk '{ print $3 }')"
}

install_tools() {
  local command package missing=() packages=()
  for command in dockerd:docker.io docker:docker-cli mmdebstrap:mmdebstrap buildah:buildah skopeo:skopeo ip:iproute2; do
    command -v "${command%:*}" >/dev/null || missing+=("${command#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  # Newer releases have the client and BuildKit's in packages of their own.
  case " ${missing[*]} " in *' docker'*) missing+=(docker-buildx) ;; esac
  apt-get update >>"$log" 2>&1 || fail "apt-get update"
  for package in "${missing[@]}"; do
    apt-cache show --no-all-versions "$package" >/dev/null 2>&1 && packages+=("$package")
  done
  if [ "$yes" = no ] && [ -t 0 ] && [ -z "${CI:-}" ]; then
    printf 'Install %s? [y/N] ' "${packages[*]}" >&2
    local answer
    read -r answer
    case $answer in [yY]*) ;; *) say "nothing installed"; exit 3 ;; esac
  fi
  say "installing ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1 ||
    fail "apt-get install"
}

# The daemon touches neither the machine's firewall nor its own bridge's neighbours: builds use the machine's network,
# and `docker run` gets the bridge that it would have anyway.
prepare_docker() {
  install_tools
  # The package's client belongs to the package's daemon.
  [ ! -x /usr/bin/docker ] || docker=/usr/bin/docker
  mkdir -p "$work/docker" "$work/docker-config"
  export DOCKER_HOST=unix://$work/docker/socket DOCKER_CONFIG=$work/docker-config
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY
  ip link add name "$bridge" type bridge && bridged=yes
  ip address add 10.213.77.1/24 dev "$bridge"
  ip link set "$bridge" up
  # A process group of its own: Ctrl-C at the terminal is for us to pass on.
  echo "{}" >"$work/docker/config.json"
  setsid dockerd --host "$DOCKER_HOST" --data-root "$work/docker/data" --exec-root "$work/docker/run" \
    --pidfile "$work/docker/pid" --config-file "$work/docker/config.json" --bridge "$bridge" --storage-driver overlay2 \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >"$work/docker/log" 2>&1 &
  daemon=$!
  local tries
  for tries in {1..100}; do
    $docker version >/dev/null 2>&1 && break
    if [ "$tries" = 100 ] || ! kill -0 "$daemon" 2>/dev/null; then
      cp "$work/docker/log" "$log"
      fail dockerd
    fi
    sleep 0.2
  done
  printf 'FROM scratch\nLABEL a=b\n' >"$work/docker/probe"
  if DOCKER_BUILDKIT=1 $docker build - <"$work/docker/probe" >>"$log" 2>&1; then buildkit=yes; fi
}

stop_docker() {
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    daemon=''
    awk -v below="$work/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r place; do
      umount "$place" 2>/dev/null || true
    done
  fi
  [ "$bridged" = no ] || ip link delete "$bridge" || true
  bridged=no
}

# docker_build KIND ARGUMENT..: KIND is BuildKit or classic
docker_build() {
  local on=1
  [ "$1" = BuildKit ] || on=0
  shift
  DOCKER_BUILDKIT=$on $docker build --network host "$@"
}

# As if nothing had ever been built here.
empty_docker() {
  # An image that another stands on refuses to go first; the pruning takes it afterwards.
  { $docker image ls -q | sort -u | xargs -r "$docker" image rm -f || true; } >>"$log" 2>&1
  { $docker image prune -af; $docker builder prune -af; } >>"$log" 2>&1
}

# A base image from the package mirror alone.
docker_base() {
  local mirror=()
  [ -z "${XBUILD_DEBIAN_MIRROR:-}" ] || mirror=("${XBUILD_DEBIAN_MIRROR%% *}")
  mmdebstrap --variant=minbase --format=tar trixie - "${mirror[@]}" | $docker import - bench-base
}

# docker_from_nothing KIND DOCKERFILE ARCH..: builders; BuildKit makes them all at once, and what they share once. The
# classic builder would make that anew for each, so there they come one after another.
docker_from_nothing() {
  local kind=$1 file=$2 arch pids=() pid status=0
  shift 2
  docker_base || return
  for arch in "$@"; do
    # The base is new, so that nothing is cached.
    local build=(docker_build "$kind" --build-arg BASE=bench-base --target "$arch" -t "bench:$arch" -)
    if [ "$kind" = BuildKit ]; then
      "${build[@]}" <"$file" &
      pids+=("$!")
    else
      "${build[@]}" <"$file" || status=1
    fi
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  return $status
}
