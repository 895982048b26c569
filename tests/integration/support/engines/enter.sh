#!/bin/sh
# Makes the root folder of an engine, of which nothing is seen outside, and goes there: the first process of the namespaces
# that `keep.sh` makes. A bare chroot would not do: containers start with `pivot_root`, which wants to stand on a mount.
#
#   enter.sh NAME WORK ENGINE FOLDER..
#
# ENGINE is the folder with unpacked packages. WORK is seen as /exchange, and its `etc` as /etc; its `init` is run. Every
# FOLDER is seen at its own path.
set -eu
if [ -z "${ENTERED:-}" ]; then
  # Control groups below the engine's own: it can neither see nor leave behind others.
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if [ -e "$hierarchy/$1/cgroup.procs" ]; then echo 0 > "$hierarchy/$1/cgroup.procs"; fi
  done
  ENTERED=yes exec unshare --cgroup sh "$0" "$@"
fi
work=$2 engine=$3
shift 3

mount --make-rprivate /
root=$work/root
mkdir "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir usr etc proc sys dev run tmp root old exchange var var/lib var/tmp
chmod 1777 tmp var/tmp
for folder in bin sbin lib lib64; do ln -s "usr/$folder" $folder; done
ln -s ../run var/run
mount --bind -o ro "$engine/usr" usr
mount --rbind /sys sys
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mount --bind "$work" exchange
mount --bind "$work/etc" etc
for folder in "$@"; do
  mkdir -p "./$folder"
  mount --bind "$folder" "./$folder"
done

umount -R sys/fs/cgroup
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  # Controllers are for groups below one that has no processes.
  mkdir sys/fs/cgroup/init
  echo 0 > sys/fs/cgroup/init/cgroup.procs
  sed 's/[^ ][^ ]*/+&/g' sys/fs/cgroup/cgroup.controllers > sys/fs/cgroup/cgroup.subtree_control
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    folder=sys/fs/cgroup/${controllers#name=}
    if [ -n "$controllers" ]; then
      mkdir "$folder"
      mount -t cgroup -o "$controllers" cgroup "$folder"
    fi
  done < /proc/self/cgroup
fi

pivot_root . old
exec /usr/bin/busybox env -i PATH=/usr/sbin:/usr/bin HOME=/root /usr/bin/busybox sh -c '
  busybox umount -l /old
  exec busybox sh /exchange/init'
