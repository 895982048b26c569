# shellcheck shell=bash
# The lines about many images and about RUN. Sourced by scripts/bench.

# log, work, xbuild, docker, daemon, buildkit, registered: set by scripts/bench and the files beside this one.
# shellcheck disable=SC2154
registered='' holder=''

# Twenty images of a program of 2 MB, a configuration and a folder of small files each.
many_images_project() {
  local folder=$work/many-images number file
  [ ! -d "$folder" ] || { echo "$folder"; return; }
  mkdir "$folder"
  printf 'version: 1\nname: bench\narches: [%s]\nimages:\n' "$(host_arch)" >"$folder/xbuild.yaml"
  for number in {1..20}; do
    printf '  image%s: { dockerfile: image%s/Dockerfile }\n' "$number" "$number" >>"$folder/xbuild.yaml"
    mkdir -p "$folder/image$number/share"
    printf 'FROM scratch\nCOPY program /usr/bin/program\nCOPY config /etc/program.conf\nCOPY share /usr/share/program\nENTRYPOINT ["/usr/bin/program"]\n' \
      >"$folder/image$number/Dockerfile"
    printf 'number = %s\n' "$number" >"$folder/image$number/config"
    for file in {1..20}; do printf '%s of %s\n' "$file" "$number" >"$folder/image$number/share/file$file"; done
  done
  echo "$folder"
}

host_arch() { dpkg --print-architecture | sed 's/^ppc64el$/ppc64le/'; }

# New programs: nothing of an earlier run stands in for this one.
new_programs() {
  local number
  for number in {1..20}; do
    { head -c 64 /dev/urandom; dd if="$xbuild" bs=1000000 skip="$number" count=2 status=none; } >"$1/image$number/program"
  done
}

docker_each() {
  local kind=$1 folder=$2 number
  for number in {1..20}; do docker_build "$kind" -q -t "bench-image$number" "$folder/image$number" || return; done
}

buildah_each() {
  local folder=$1 number
  for number in {1..20}; do
    buildah --root "$work/buildah" --runroot "$work/buildah-run" --storage-driver overlay build -q --isolation chroot \
      -t "bench-image$number" "$folder/image$number" || return
  done
}

line_many() {
  local project run ours=() docker_seconds=() buildah_seconds=() kind=classic
  project=$(many_images_project)
  [ "$buildkit" = no ] || kind=BuildKit
  for ((run = 0; run < $(how_often 5); run++)); do
    new_programs "$project"
    clock ours xbuild_in "$work/image-store" "$project" images
    [ -z "$daemon" ] || clock docker_seconds docker_each $kind "$project"
    [ -z "$daemon" ] || clock buildah_seconds buildah_each "$project"
  done
  if [ -z "$daemon" ]; then
    row "packaging 20 images" "$(human_seconds "$(median "${ours[@]}")")" - - -
  else
    compare "packaging 20 images" "$(median "${ours[@]}")" "docker build ($kind)" "$(median "${docker_seconds[@]}")" 0.1 0.05
    compare "packaging 20 images" "$(median "${ours[@]}")" "buildah build" "$(median "${buildah_seconds[@]}")"
  fi
}

# A base of Debian's packages for an architecture, and an image of ten commands on it. xbuild makes the base.
run_project() {
  local arch=$1 folder=$work/run-$1
  mkdir -p "$folder/base" "$folder/steps"
  cat >"$folder/xbuild.yaml" <<END
version: 1
name: bench
arches: [$arch]
bases:
  # The release alone: it does not change between two measurements.
  bench-root: { bootstrap: { suite: trixie, updates: false } }
images:
  base: { name: bench-base, tags: [$arch], dockerfile: base/Dockerfile }
  steps: { dockerfile: steps/Dockerfile }
END
  printf 'FROM bench-root\nCMD ["/bin/sh"]\n' >"$folder/base/Dockerfile"
  echo "$folder"
}

# The base, from xbuild's layout into Docker.
give_docker_base() {
  local arch=$1 folder=$2
  [ -n "$daemon" ] || return 0
  skopeo copy -q --override-arch "$arch" "oci:$folder/dist/images:bench-base:$arch" "docker-archive:$work/base.tar:bench-base:$arch" &&
    $docker load -q -i "$work/base.tar" && rm "$work/base.tar"
}

# ten_steps BASE SALT: each command writes a few files, none of which an earlier run has made.
ten_steps() {
  local number
  printf 'FROM %s\n' "$1"
  for number in {1..10}; do
    # shellcheck disable=SC2016 # for the shell in the image
    printf 'RUN mkdir -p /data/%s && for i in 1 2 3 4 5 6 7 8 9; do echo %s $i > /data/%s/$i; done\n' "$number" "$2" "$number"
  done
}

line_steps() {
  local project arch run kind=classic cold=() cached=() docker_cold=() docker_cached=()
  arch=$(host_arch)
  project=$(run_project "$arch")
  [ "$buildkit" = no ] || kind=BuildKit
  mkdir -p "$work/steps"
  xbuild_in "$work/store" "$project" images base >>"$log" 2>&1 || fail "xbuild images base"
  give_docker_base "$arch" "$project" >>"$log" 2>&1 || fail "docker load"
  for ((run = 0; run < $(how_often 5); run++)); do
    ten_steps base "$run" >"$project/steps/Dockerfile"
    ten_steps "bench-base:$arch" "$run" >"$work/steps/Dockerfile"
    clock cold xbuild_in "$work/store" "$project" images steps
    clock cached xbuild_in "$work/store" "$project" images steps
    [ -n "$daemon" ] || continue
    clock docker_cold docker_build $kind -t bench-steps "$work/steps"
    clock docker_cached docker_build $kind -t bench-steps "$work/steps"
  done
  if [ -z "$daemon" ]; then
    row "ten RUN steps, cold" "$(human_seconds "$(median "${cold[@]}")")" - - -
    absolute "ten RUN steps, cached" "$(median "${cached[@]}")" 0.300 0.100
  else
    compare "ten RUN steps, cold" "$(median "${cold[@]}")" "docker build ($kind)" "$(median "${docker_cold[@]}")"
    absolute "ten RUN steps, cached" "$(median "${cached[@]}")" 0.300 0.100 "docker build ($kind)" "$(median "${docker_cached[@]}")"
  fi
}

line_foreign() {
  local project run kind=classic ours=() theirs=() arch=s390x emulator
  project=$(run_project $arch)
  [ "$buildkit" = no ] || kind=BuildKit
  mkdir -p "$work/foreign"
  xbuild_in "$work/store" "$project" images base >>"$log" 2>&1 || fail "xbuild images base"
  give_docker_base $arch "$project" >>"$log" 2>&1 || fail "docker load"
  emulator=$(find "$work/store" -name "qemu-$arch*" -type f -perm -u+x -print -quit 2>/dev/null)
  for ((run = 0; run < $(how_often 3); run++)); do
    {
      printf 'RUN echo %s && apt-get update && apt-get install -y --no-install-recommends git\n' "$run"
    } >"$work/foreign/instructions"
    { echo 'FROM base'; cat "$work/foreign/instructions"; } >"$project/steps/Dockerfile"
    { echo "FROM bench-base:$arch"; cat "$work/foreign/instructions"; } >"$work/foreign/Dockerfile"
    clock ours xbuild_in "$work/store" "$project" images steps
    if [ -z "$daemon" ] || [ -z "$emulator" ]; then continue; fi
    register_emulator $arch "$emulator"
    clock theirs docker_build $kind --platform "linux/$arch" -t bench-foreign "$work/foreign"
    unregister_emulator
  done
  if [ ${#theirs[@]} = 0 ]; then
    row "apt-get install git for $arch" "$(human_seconds "$(median "${ours[@]}")")" - - -
  else
    compare "apt-get install git for $arch" "$(median "${ours[@]}")" "docker build ($kind), same QEMU" "$(median "${theirs[@]}")"
  fi
}

# Docker can emulate only what the whole machine does: for the time of a build. A process keeps the file system of the
# registrations mounted, where nobody else sees it: since Linux 6.7 they go with its last mount.
register_emulator() {
  local name=xbuild-bench-$1 magic mask tries
  # The header of an ELF file for s390x: 64 bits, big-endian, executable, machine 22; the ABI is masked out.
  magic='\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16'
  mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff'
  # shellcheck disable=SC2016 # for the inner shell
  unshare --mount sh -c 'mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc &&
    printf "%s" "$1" >/proc/sys/fs/binfmt_misc/register && exec sleep 1000000' \
    sh ":$name:M::$magic:$mask:$2:F" >>"$log" 2>&1 &
  holder=$! registered=$name
  for tries in {1..50}; do
    in_holder test -e "/proc/sys/fs/binfmt_misc/$name" 2>/dev/null && return
    kill -0 "$holder" 2>/dev/null || break
    sleep 0.1
  done
  fail "registering $2, tried $tries times,"
}

in_holder() { nsenter --mount --target "$holder" "$@"; }

unregister_emulator() {
  [ -n "$registered" ] || return 0
  # shellcheck disable=SC2016 # for the inner shell
  in_holder sh -c '[ ! -e "/proc/sys/fs/binfmt_misc/$1" ] || echo -1 >"/proc/sys/fs/binfmt_misc/$1"' sh "$registered" \
    >>"$log" 2>&1 || say "cannot remove the emulator $registered from binfmt_misc"
  kill "$holder" 2>/dev/null || true
  wait "$holder" 2>/dev/null || true
  registered='' holder=''
}
