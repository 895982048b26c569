# shellcheck shell=bash
# The lines of the table. Sourced by scripts/bench.

# log, work, xbuild, docker, daemon, buildkit, arches, lines: set by scripts/bench and the files beside this one.
# shellcheck disable=SC2154

# xbuild_in STORE PROJECT ARGUMENT..
xbuild_in() {
  local store=$1 project=$2
  shift 2
  XBUILD_STORE=$store "$xbuild" -q -C "$project" "$@"
}

# from_nothing WHAT LIMIT AIM ARCH..
from_nothing() {
  local what=$1 limits=("$2" "$3") project kind kinds=() ours=() seconds run
  local -A theirs=()
  shift 3
  project=$(pcap_project)
  local list
  list=$(IFS=,; echo "$*")
  if [ -n "$daemon" ]; then
    "$xbuild" -q -C "$project" toolchain show debian-trixie --dockerfile --arch "$list" >"$work/Dockerfile" 2>>"$log" ||
      fail "toolchain show --dockerfile"
    [ "$buildkit" = no ] || kinds+=(BuildKit)
    # A second opinion: it takes longer, and is what `docker build` is in older releases.
    kinds+=(classic)
  fi
  for ((run = 0; run < $(how_often 3); run++)); do
    remove "$work/store"
    clock ours xbuild_in "$work/store" "$project" toolchain --arch "$list"
    for kind in "${kinds[@]}"; do
      empty_docker
      seconds=()
      clock seconds docker_from_nothing "$kind" "$work/Dockerfile" "$@"
      theirs[$kind]+="${seconds[0]} "
    done
  done
  [ ${#kinds[@]} -gt 0 ] || row "$what" "$(human_seconds "$(median "${ours[@]}")")" - - -
  for kind in "${kinds[@]}"; do
    # shellcheck disable=SC2086 # a list
    compare "$what" "$(median "${ours[@]}")" "mmdebstrap + docker build ($kind)" "$(median ${theirs[$kind]})" "${limits[@]}"
    # They are held against the faster of Docker's builders, which is the first.
    limits=()
  done
}

line_cold() { from_nothing "s390x builder from nothing" 0.50 0.33 s390x; }

line_five() { from_nothing "five builders from nothing" 0.40 0.40 "${arches[@]}"; }

line_further() {
  local project arch before seconds theirs kind=classic ours added
  project=$(pcap_project)
  [ "$buildkit" = no ] || kind=BuildKit
  remove "$work/store"
  xbuild_in "$work/store" "$project" toolchain --arch s390x >>"$log" 2>&1 || fail "toolchain --arch s390x"
  if [ -n "$daemon" ]; then
    "$xbuild" -q -C "$project" toolchain show debian-trixie --dockerfile \
      --arch "$(IFS=,; echo "${arches[*]}")" >"$work/Dockerfile" 2>>"$log" || fail "toolchain show --dockerfile"
    empty_docker
    docker_from_nothing $kind "$work/Dockerfile" s390x >>"$log" 2>&1 || fail "docker build"
  fi
  row "a first builder, s390x: on disk" "$(human_bytes "$(disk "$work/store")")" \
    "$([ -z "$daemon" ] && echo - || echo "docker $(human_bytes "$(disk "$work/docker/data")")")" - -
  for arch in "${arches[@]}"; do
    [ "$arch" != s390x ] || continue
    seconds=()
    before=$(disk "$work/store")
    clock seconds xbuild_in "$work/store" "$project" toolchain --arch "$arch"
    ours=${seconds[0]} added=$(($(disk "$work/store") - before))
    if [ -z "$daemon" ]; then
      row "further builder: $arch" "$(human_seconds "$ours"), $(human_bytes $added)" - - -
      continue
    fi
    seconds=()
    before=$(disk "$work/docker/data")
    clock seconds docker_build_target $kind "$arch"
    theirs=${seconds[0]}
    row "further builder: $arch" "$(human_seconds "$ours"), $(human_bytes $added)" \
      "docker build ($kind) $(human_seconds "$theirs"), $(human_bytes $(($(disk "$work/docker/data") - before)))" \
      "$(human_ratio "$(calculate "$ours / $theirs")")" -
  done
}

docker_build_target() {
  docker_build "$1" --build-arg BASE=bench-base --target "$2" -t "bench:$2" - <"$work/Dockerfile"
}

line_start() {
  local project run ours=() theirs=()
  project=$(pcap_project)
  xbuild_in "$work/store" "$project" toolchain --arch s390x >>"$log" 2>&1 || fail "toolchain --arch s390x"
  if [ -n "$daemon" ] && ! $docker image inspect bench:s390x >>"$log" 2>&1; then
    "$xbuild" -q -C "$project" toolchain show debian-trixie --dockerfile --arch s390x >"$work/Dockerfile" 2>>"$log" ||
      fail "toolchain show --dockerfile"
    docker_from_nothing "$([ "$buildkit" = yes ] && echo BuildKit || echo classic)" "$work/Dockerfile" s390x \
      >>"$log" 2>&1 || fail "docker build"
  fi
  for ((run = 0; run < $(how_often 15); run++)); do
    clock ours xbuild_in "$work/store" "$project" run --arch s390x -- true
    [ -z "$daemon" ] || clock theirs "$docker" run --rm bench:s390x true
  done
  absolute "starting a command in a builder" "$(median "${ours[@]}")" 0.010 0.005 \
    "docker run --rm" "$([ -z "$daemon" ] || median "${theirs[@]}")"
}

line_package() {
  local project context run ours=() docker_seconds=() buildah_seconds=() kind=classic
  project=$(image_project)
  context=$work/context
  mkdir "$context"
  cp "$project/Dockerfile" "$context"
  [ "$buildkit" = no ] || kind=BuildKit
  for ((run = 0; run < $(how_often 7); run++)); do
    new_program "$project/prog"
    cp "$project/prog" "$context/prog"
    clock ours xbuild_in "$work/image-store" "$project" images
    [ -z "$daemon" ] || clock docker_seconds docker_build $kind -t bench-program "$context"
    [ -z "$daemon" ] || clock buildah_seconds buildah --root "$work/buildah" --runroot "$work/buildah-run" \
      --storage-driver overlay build --isolation chroot -t bench-program "$context"
  done
  ours=("$(median "${ours[@]}")")
  if [ -z "$daemon" ]; then
    absolute "packaging 25 MB" "${ours[0]}" 0.2 0.1
  else
    absolute "packaging 25 MB" "${ours[0]}" 0.2 0.1 "docker build ($kind)" "$(median "${docker_seconds[@]}")"
    absolute "packaging 25 MB" "${ours[0]}" 0.2 0.1 "buildah build" "$(median "${buildah_seconds[@]}")"
  fi
}

line_nothing() {
  local project run ours=()
  project=$(many_project)
  xbuild_in "$work/store" "$project" binaries >>"$log" 2>&1 || fail "xbuild binaries"
  for ((run = 0; run < $(how_often 15); run++)); do
    clock ours xbuild_in "$work/store" "$project" binaries
  done
  absolute "nothing to do: 55 programs, 5,000 files" "$(median "${ours[@]}")" 0.150 0.050
}

line_wall() {
  local project run ratios=() walls=() bounds=()
  project=$(netsuite_project)
  xbuild_in "$work/store" "$project" toolchain >>"$log" 2>&1 || fail "xbuild toolchain"
  for ((run = 0; run < $(how_often 3); run++)); do
    # Another tree, and nothing of an earlier one's compilers.
    printf '\n// %s\n' "$run" >>"$project/cmd/witness/main.go"
    remove "$work/store"/gocache-v*
    clock walls xbuild_in "$work/store" "$project" binaries
    bounds+=("$(calculate "$(compiler_seconds "$project/dist/build.json") / $(nproc)")")
    ratios+=("$(calculate "${walls[-1]} / ${bounds[-1]}")")
  done
  local ratio
  ratio=$(median "${ratios[@]}")
  row "netsuite for five architectures" "$(human_seconds "$(median "${walls[@]}")")" \
    "compilers' CPU / cores $(human_seconds "$(median "${bounds[@]}")")" "$(human_ratio "$ratio")" "at most 1.15 ($(met "$ratio" 1.15))"
}

# CPU seconds of the steps that made programs and prepared their tree; a record names its step before its cpu.
compiler_seconds() {
  grep -o '"step": *"[^"]*"\|"cpu": *[0-9.e-]*' "$1" |
    awk -F ': *' '$1 ~ /step/ { ours = $2 ~ /^"(binary\/|preparation")/ } $1 ~ /cpu/ && ours { sum += $2 } END { if (!sum) exit 1; print sum }' ||
    fail "reading $1"
}
