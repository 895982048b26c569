//! What the help shows of each verb, in lines that fit into sixty columns.

pub(super) const XBUILD: &str = "\
Examples:
  xbuild toolchain -a s390x   prepare one builder
  xbuild binaries             build all programs into dist/
  xbuild binaries -a arm64    those for one architecture
  xbuild test                 run the programs' tests
  xbuild images               package all in dist/images
  xbuild plan                 show what would be done
  xbuild doctor               say what works here

Exit codes:
  0 done, 1 the build or a test failed, 2 usage or
  configuration, 3 environment, 4 registry, 70 a bug in
  xbuild, 130 interrupted; `run` and `shell` end with the
  command's own";

pub(super) const TOOLCHAIN: &str = "\
Examples:
  Prepare the builder for one architecture:
    xbuild toolchain --arch s390x
  See which toolchains and libraries there are:
    xbuild toolchain ls
  Have Docker make the same builder:
    xbuild toolchain show debian-trixie --dockerfile";

pub(super) const TOOLCHAIN_SHOW: &str = "\
Examples:
  Read the definition:
    xbuild toolchain show debian-trixie
  Have Docker make the same builder:
    xbuild toolchain show debian-trixie --dockerfile";

pub(super) const BINARIES: &str = "\
Examples:
  Build one program for two architectures:
    xbuild binaries router --arch arm64,s390x
  Build what is for arm64 on another machine:
    xbuild binaries --builders linux/arm64=ssh://me@farm
  Give a variable of the project another value:
    xbuild binaries --set version=1.2";

pub(super) const TEST: &str = "\
Examples:
  Run one program's test for one architecture:
    xbuild test router --arch s390x
  Run the program with arguments instead:
    xbuild test router --arch s390x -- --version";

pub(super) const IMAGES: &str = "\
Examples:
  Build one image for one architecture:
    xbuild images router --arch arm64
  Write it as an archive for `docker load`:
    xbuild images router -a arm64 -o type=docker,dest=r.tar
  Load it into Docker or Podman:
    xbuild images router --load
  Let RUN lines see a secret:
    xbuild images --secret id=token,src=token.txt";

pub(super) const LINT: &str = "\
Examples:
  Look at the project's images, but leave a rule out:
    xbuild lint --ignore DL3008
  Look at some files:
    xbuild lint Dockerfile start.sh
  Fail for errors alone:
    xbuild lint --fail-on error";

pub(super) const RUN: &str = "\
xbuild ends with the command's own exit code.

Examples:
  See what commands see:
    xbuild run --arch s390x -- env
  Compile by hand; changes to the tree are thrown away:
    xbuild run --arch s390x -- sh -c '$CC -c hello.c'";

pub(super) const SHELL: &str = "\
xbuild ends with the shell's own exit code.

Examples:
  Look around in a builder:
    xbuild shell --arch s390x
  Also with the network, and a variable of one's own:
    xbuild shell --arch s390x --network -e http_proxy";

pub(super) const PLAN: &str = "\
Examples:
  Show what one program or image takes:
    xbuild plan router --arch arm64
  Show what the template of an image expands to:
    xbuild plan --dockerfile router
  Draw the steps:
    xbuild plan --format dot | dot -Tsvg > plan.svg";

pub(super) const VERIFY: &str = "\
Examples:
  Show facts of all programs in dist/:
    xbuild verify
  Show facts of any others:
    xbuild verify dist/arm64/router /usr/bin/git";

pub(super) const DOCTOR: &str = "\
Examples:
  Look at this machine:
    xbuild doctor
  Tell another program:
    xbuild doctor --json";

pub(super) const CACHE: &str = "\
Examples:
  Show what the store holds:
    xbuild cache ls
  Remove what nothing has used for a week:
    xbuild cache gc --unused 7";

pub(super) const CACHE_GC: &str = "\
Examples:
  Remove what nothing has used for a week:
    xbuild cache gc --unused 7
  Remove everything:
    xbuild cache gc --unused 0";
