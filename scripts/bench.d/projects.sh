# shellcheck shell=bash
# The projects that are built. Sourced by scripts/bench.

# log, work, root, xbuild: set by scripts/bench.
# shellcheck disable=SC2154
# shellcheck disable=SC2034 # used in lines.sh
arches=(amd64 arm arm64 ppc64le s390x)

# Wants Go and libpcap. Its toolchain builds no further library, so that the Dockerfile of it has none either.
pcap_project() {
  local folder=$work/pcap
  [ -d "$folder" ] || {
    mkdir -p "$folder/toolchains"
    { "$xbuild" -q toolchain show debian-trixie | sed 's/^libraries:.*/libraries: [libpcap]/'; } \
      >"$folder/toolchains/debian-trixie.yaml" 2>>"$log" || fail "toolchain show debian-trixie"
    printf 'module example.org/bench\n\ngo 1.19\n' >"$folder/go.mod"
    printf 'package main\n\n// #cgo LDFLAGS: -lpcap\n// #include <pcap.h>\nimport "C"\n\nfunc main() { println(C.GoString(C.pcap_lib_version())) }\n' >"$folder/main.go"
    cat >"$folder/xbuild.yaml" <<'END'
version: 1
name: bench
toolchain: debian-trixie
arches: [amd64, arm, arm64, ppc64le, s390x]
binaries:
  probe: { go: { package: . }, libs: [libpcap] }
END
  }
  echo "$folder"
}

# Packages one file.
image_project() {
  local folder=$work/image
  mkdir "$folder"
  cat >"$folder/xbuild.yaml" <<'END'
version: 1
name: bench
arches: [amd64]
images:
  prog: { dockerfile: Dockerfile, files: { prog: ./prog } }
END
  printf 'FROM scratch\nCOPY prog /prog\nENTRYPOINT ["/prog"]\n' >"$folder/Dockerfile"
  echo "$folder"
}

# 25 MB of machine code, new each time: real programs compress, random bytes do not.
new_program() {
  { head -c 64 /dev/urandom; while cat "$xbuild"; do :; done 2>/dev/null; } | head -c 25000000 >"$1"
}

# 11 programs for five architectures, 5,000 source files, in git.
many_project() {
  local folder=$work/many name
  mkdir -p "$folder"
  printf 'module example.org/many\n\ngo 1.19\n' >"$folder/go.mod"
  printf '/dist/\n' >"$folder/.gitignore"
  {
    printf 'version: 1\nname: many\ntoolchain: debian-trixie\narches: [amd64, arm, arm64, ppc64le, s390x]\nbinaries:\n'
    for name in {1..11}; do
      printf '  program%s: { go: { package: ./cmd/program%s, cgo: false } }\n' "$name" "$name"
    done
  } >"$folder/xbuild.yaml"
  for name in {1..11}; do
    mkdir -p "$folder/cmd/program$name"
    printf 'package main\n\nfunc main() { println("%s") }\n' "$name" >"$folder/cmd/program$name/main.go"
  done
  # A hundred packages of fifty files less those eleven.
  awk -v folder="$folder" 'BEGIN {
    for (i = 0; i < 4989; i++) {
      package = sprintf("package%02d", i % 100)
      if (i < 100) system("mkdir -p " folder "/internal/" package)
      file = sprintf("%s/internal/%s/file%02d.go", folder, package, i / 100)
      printf "package %s\n\n// Number%d is one of many.\nconst Number%d = %d\n", package, i, i, i > file
      close(file)
    }
  }'
  commit "$folder"
  echo "$folder"
}

# The example, away from its repository, so that nothing there is touched.
netsuite_project() {
  local folder=$work/netsuite
  [ -d "$folder" ] || {
    cp -r "$root/examples/netsuite" "$folder"
    remove "$folder/dist"
    printf '/dist/\n' >>"$folder/.gitignore"
    commit "$folder"
  }
  echo "$folder"
}

commit() {
  git -C "$1" -c init.defaultBranch=main init -q
  git -C "$1" add -A
  git -C "$1" -c user.name=bench -c user.email=bench@example.org -c commit.gpgsign=false commit -q -m bench
  git -C "$1" -c user.name=bench -c user.email=bench@example.org tag -f v1.0.0
} >>"$log" 2>&1
