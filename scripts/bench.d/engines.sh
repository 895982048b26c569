# shellcheck shell=bash
# The Docker engine against the same commands in the same container without xbuild. Sourced by scripts/bench.

# log, work, xbuild, docker, daemon: set by scripts/bench and the files beside this one.
# shellcheck disable=SC2154

line_engine() {
  local project image run ours=() theirs=() through=() bare=()
  if [ -z "$daemon" ]; then
    say "left out: it takes a Docker daemon"
    return
  fi
  project=$(netsuite_project)
  # Natively made, so that the image need not be built: that is another line.
  xbuild_in "$work/store" "$project" toolchain --arch s390x >>"$log" 2>&1 || fail "toolchain --arch s390x"
  with_docker "$project" toolchain --arch s390x >>"$log" 2>&1 || fail "toolchain --engine docker"
  with_docker "$project" plan --arch s390x >"$work/plan" 2>>"$log" || fail "plan"
  commands_of "$work/plan" >"$work/commands"
  # The one that has what all of the programs need; its name goes on after the part of the key that the plan shows.
  image=xbuild-builder:$(awk '/^builder\/.*libpcap/ { getline; print $2; exit }' "$work/plan")
  image=$($docker images --format '{{.Repository}}:{{.Tag}}' xbuild-builder | grep "^$image") || fail "docker images"
  # The builder of what prepares them is loaded with the first run.
  with_docker "$project" binaries --arch s390x >>"$log" 2>&1 || fail "binaries --engine docker"
  for ((run = 0; run < $(how_often 5); run++)); do
    printf '\n// %s\n' "$run" >>"$project/cmd/witness/main.go"
    empty_caches
    # What one has written is not written to the disk in the other's time.
    sync
    clock ours with_docker "$project" binaries --arch s390x
    sync
    clock theirs bare_commands "$project" "$image"
  done
  compare "netsuite for s390x by the Docker engine" "$(median "${ours[@]}")" \
    "the bare commands in one container" "$(median "${theirs[@]}")" 1.03 1.03 "$(paired ours theirs)"
  for ((run = 0; run < $(how_often 7); run++)); do
    clock through with_docker "$project" run --arch s390x -- true
    clock bare "$docker" run --rm "$image" true
  done
  absolute "what a session adds to docker run" \
    "$(calculate "$(median "${through[@]}") - $(median "${bare[@]}")")" 0.4 0.4 "docker run" "$(median "${bare[@]}")"
  through=()
  with_docker "$project" binaries --arch s390x >>"$log" 2>&1 || fail "xbuild binaries"
  for ((run = 0; run < $(how_often 15); run++)); do
    clock through with_docker "$project" binaries --arch s390x
  done
  absolute "nothing to do with the Docker engine" "$(median "${through[@]}")" 0.150 0.050
}

with_docker() {
  local project=$1
  shift
  xbuild_in "$work/store" "$project" --engine docker "$@"
}

# What earlier runs have compiled.
empty_caches() {
  $docker volume ls -q --filter name=xbuild-cache- | xargs -r "$docker" volume rm >>"$log" 2>&1 || fail "docker volume rm"
}

# The commands of a plan's programs and of what prepares them, as a shell script: xbuild plan shows them as one would type
# them, the environment a line each.
commands_of() {
  awk '
    function flush() { if (ours && command) printf "(cd %s && env -i XBUILD_JOBS=\"$(nproc)\"%s %s) || exit\n", folder, environment, command }
    /^[^ ]/ { flush(); ours = /^(binary\/|preparation$)/; command = environment = ""; inside = 0 }
    /^  command / { sub(/^  command +/, ""); command = $0; inside = 0; next }
    /^  in / { sub(/^  in +/, ""); folder = $0; inside = 0; next }
    /^  environment / { sub(/^  environment +/, ""); environment = " " $0; inside = 1; next }
    /^  [^ ]/ { inside = 0 }
    inside { sub(/^ +/, ""); environment = environment " " $0 }
    END { flush() }
  ' "$1"
}

bare_commands() {
  $docker run --rm --network none -v "$1:/project:ro" -v "$work/commands:/commands:ro" "$2" \
    sh -euc 'mkdir -p /src /out && cp -a /project/. /src && . /commands'
}
