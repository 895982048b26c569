# debian-trixie: Debian 13 (trixie): glibc 2.41, gcc 14, Go 1.24; builders that run on amd64.
#
#     docker build --target s390x -t debian-trixie:s390x - < Dockerfile
#
# Another base of the same release: --build-arg BASE=...
ARG BASE=debian:trixie-slim

# Package lists stay: later layers only ask whether they are current, and find the mirrors in them.
FROM ${BASE} AS base
RUN apt-get update -o Acquire::Languages=none \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -- \
      bison bzip2 flex make patch pkgconf xz-utils \
 && apt-get clean

# What is built or unpacked below, each held to its digest.
FROM base AS sources
WORKDIR /sources
RUN printf '%s\n' \
      '# fetch SHA256 FILE PLACE..: from the first place that has these very bytes' \
      'digest=$1 file=$2' \
      'shift 2' \
      'try() {' \
      '  rm -f "$file"' \
      '  # apt brings its own client. Certificates it would have to install first; the digest vouches for the bytes.' \
      '  /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::https::Verify-Peer=false \' \
      '    download-file "$1" "$file" && echo "$digest  $file" | sha256sum -c && exit 0' \
      '}' \
      'for place; do' \
      '  case $place in' \
      '    pool/*)' \
      '      for mirror in $(apt-get indextargets --format '\''$(REPO_URI)'\'' '\''Created-By: Packages'\'' | sort -u); do' \
      '        try "$mirror$place"' \
      '      done ;;' \
      '    *) try "$place" ;;' \
      '  esac' \
      'done' \
      'echo "nowhere to be had: $file" >&2' \
      'exit 1' \
      > /fetch
RUN sh /fetch 84fa89ac6d303028c1c5b754abff77224f45eca0a94eb1a34ff0aa9ceece3925 libpcap-1.10.5 \
      https://www.tcpdump.org/release/libpcap-1.10.5.tar.xz \
      pool/main/libp/libpcap/libpcap_1.10.5.orig.tar.xz
RUN sh /fetch 83b6085232d1588c379dc9b9cae47bb37407cf262e6e74993c61ba72d2a784dc libseccomp-2.6.0 \
      https://github.com/seccomp/libseccomp/releases/download/v2.6.0/libseccomp-2.6.0.tar.gz \
      pool/main/libs/libseccomp/libseccomp_2.6.0.orig.tar.gz

# What all targets share.
FROM base AS common
RUN apt-get update -o Acquire::Languages=none \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -- \
      golang-1.24-go \
 && apt-get clean

FROM common AS s390x-compiler
RUN apt-get update -o Acquire::Languages=none \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -- \
      g++-s390x-linux-gnu gcc-s390x-linux-gnu libc6-dev-s390x-cross \
 && apt-get clean
ENV AR=s390x-linux-gnu-ar \
    CC=s390x-linux-gnu-gcc \
    CGO_ENABLED=1 \
    CPP=s390x-linux-gnu-cpp \
    CXX=s390x-linux-gnu-g++ \
    GIT_CONFIG_COUNT=1 \
    GIT_CONFIG_KEY_0=safe.directory \
    GIT_CONFIG_VALUE_0='*' \
    GOARCH=s390x \
    GOFLAGS=-buildvcs=false \
    GOOS=linux \
    GOTOOLCHAIN=local \
    HOME=/root \
    LC_ALL=C.UTF-8 \
    LD=s390x-linux-gnu-ld \
    NM=s390x-linux-gnu-nm \
    OBJCOPY=s390x-linux-gnu-objcopy \
    OBJDUMP=s390x-linux-gnu-objdump \
    PATH=/usr/lib/go-1.24/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PKG_CONFIG_LIBDIR=/usr/s390x-linux-gnu/lib/pkgconfig:/usr/s390x-linux-gnu/share/pkgconfig \
    PKG_CONFIG_SYSTEM_INCLUDE_PATH=/usr/s390x-linux-gnu/include \
    PKG_CONFIG_SYSTEM_LIBRARY_PATH=/usr/s390x-linux-gnu/lib \
    RANLIB=s390x-linux-gnu-ranlib \
    READELF=s390x-linux-gnu-readelf \
    STRIP=s390x-linux-gnu-strip \
    TZ=UTC \
    XBUILD_ARCH=s390x \
    XBUILD_BUILD_ARCH=amd64 \
    XBUILD_BUILD_TRIPLE=x86_64-linux-gnu \
    XBUILD_PREFIX=/usr/s390x-linux-gnu \
    XBUILD_TRIPLE=s390x-linux-gnu

FROM s390x-compiler AS s390x-libpcap-1.10.5
COPY --from=sources /sources/libpcap-1.10.5 /archive
RUN printf '%s\n' \
      '# No -g: half the compile time, and no path of this machine in the objects.' \
      'export CFLAGS="-O2"' \
      '# Otherwise whoever asks pkg-config or pcap-config gets this builder'\''s folder as a run path.' \
      'sed -i '\''s/@RPATH@ //'\'' libpcap.pc.in pcap-config.in' \
      '# Half of configure'\''s time goes into questions whose answer is the same for every glibc since 2.3, and, when cross' \
      '# compiling, into guessing sizes by bisection; measure those with one compile each. Left to ask: whatever differs' \
      '# between releases or targets (strlcpy, declarations, kernel headers). Not `configure -C`: libpcap'\''s own ether_hostton' \
      '# test gives another config.h when it reads its answer from a cache.' \
      'size() { printf '\''#include <time.h>\nchar xbuild_size[sizeof(%s)];\n'\'' "$1" | $CC $CFLAGS -x c -c -o size.o - && echo $((0x$($NM -S size.o | cut -d'\'' '\'' -f2))); }' \
      'ac_cv_sizeof_time_t=$(size time_t); ac_cv_sizeof_void_p=$(size '\''void *'\''); export ac_cv_sizeof_time_t ac_cv_sizeof_void_p' \
      'for h in stdio stdlib string strings inttypes stdint unistd sys_types sys_stat pthread ifaddrs netpacket_packet; do export "ac_cv_header_${h}_h=yes"; done' \
      'for h in sys_ioccom sys_sockio; do export "ac_cv_header_${h}_h=no"; done' \
      'for f in asprintf vasprintf snprintf vsnprintf vsyslog strtok_r strerror_r ffs getaddrinfo getifaddrs ether_hostton pthread_create; do export "ac_cv_func_$f=yes"; done' \
      'export ac_cv_search_putmsg=no ac_cv_member_dl_hp_ppa_info_t_dl_module_id_1=no ac_cv_member_struct_sockaddr_sa_len=no' \
      'export ac_cv_type_socklen_t=yes ac_cv_type_struct_sockaddr_storage=yes ac_cv_search_yywrap=no ac_cv_lib_lex='\''none needed'\''' \
      '# Nothing that would make a static link need more than libc. Each feature is off by name, so that what happens' \
      '# to lie in the builder never decides what the library can do.' \
      './configure --quiet --build="$XBUILD_BUILD_TRIPLE" --host="$XBUILD_TRIPLE" --prefix="$XBUILD_PREFIX" \' \
      '  --with-pcap=linux --without-libnl --without-dag --without-septel --without-snf --without-turbocap --without-dpdk \' \
      '  --disable-dbus --disable-rdma --disable-bluetooth --disable-netmap --disable-remote' \
      'make -j"$XBUILD_JOBS" libpcap.a shared' \
      'make install DESTDIR="$DESTDIR"' \
      'rm -rf "$DESTDIR$XBUILD_PREFIX/share"                 # manual pages' \
      > /build \
 && mkdir /src /out \
 && cd /src \
 && tar -x -f /archive --strip-components=1 --no-same-owner \
 && DESTDIR=/out XBUILD_OUT=/out SOURCE_DATE_EPOCH=0 XBUILD_JOBS="$(nproc)" \
      sh -eu /build \
 && cd /out && for file in \
      /usr/s390x-linux-gnu/lib/libpcap.a \
      /usr/s390x-linux-gnu/lib/libpcap.so \
      /usr/s390x-linux-gnu/lib/libpcap.so.1 \
      /usr/s390x-linux-gnu/lib/pkgconfig/libpcap.pc \
      /usr/s390x-linux-gnu/include/pcap.h \
      /usr/s390x-linux-gnu/include/pcap/pcap.h; \
    do test -e "/out$file" || { echo "$file was not installed" >&2; exit 1; }; done

FROM s390x-compiler AS s390x-libseccomp-2.6.0
COPY --from=sources /sources/libseccomp-2.6.0 /archive
RUN printf '%s\n' \
      '# No -g: half the compile time, and no path of this machine in the objects.' \
      'export CFLAGS="-O2"' \
      '# The release carries what gperf generates; configure only wants a name. `false`, so that a wrong guess of ours fails.' \
      'export GPERF=false' \
      '# --with-pic: libtool compiles each file once, not twice, and the archive also fits into shared objects and PIE.' \
      './configure --quiet --build="$XBUILD_BUILD_TRIPLE" --host="$XBUILD_TRIPLE" --prefix="$XBUILD_PREFIX" \' \
      '  --disable-python --disable-dependency-tracking --with-pic' \
      '# Without tools, tests and manual pages.' \
      'make -C include install DESTDIR="$DESTDIR"' \
      'make -C src -j"$XBUILD_JOBS" install DESTDIR="$DESTDIR"' \
      'make install-pkgconfDATA DESTDIR="$DESTDIR"' \
      'rm -f "$DESTDIR$XBUILD_PREFIX/lib/libseccomp.la"      # libtool'\''s own notes; pkg-config has the same for everybody' \
      > /build \
 && mkdir /src /out \
 && cd /src \
 && tar -x -f /archive --strip-components=1 --no-same-owner \
 && DESTDIR=/out XBUILD_OUT=/out SOURCE_DATE_EPOCH=0 XBUILD_JOBS="$(nproc)" \
      sh -eu /build \
 && cd /out && for file in \
      /usr/s390x-linux-gnu/lib/libseccomp.a \
      /usr/s390x-linux-gnu/lib/libseccomp.so \
      /usr/s390x-linux-gnu/lib/libseccomp.so.2 \
      /usr/s390x-linux-gnu/lib/pkgconfig/libseccomp.pc \
      /usr/s390x-linux-gnu/include/seccomp.h; \
    do test -e "/out$file" || { echo "$file was not installed" >&2; exit 1; }; done

FROM s390x-compiler AS s390x
COPY --from=s390x-libpcap-1.10.5 /out/ /
COPY --from=s390x-libseccomp-2.6.0 /out/ /
WORKDIR /src
