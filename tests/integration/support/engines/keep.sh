#!/bin/sh
# Runs an engine in namespaces of its own until standard input ends, which it does with the test, whatever ends the test;
# then takes away all that is left of it. Says on standard output which process is the first of the namespaces.
#
#   keep.sh NAME WORK UNSHARE-OPTION.. -- COMMAND..
#
# NAME is that of the engine's control groups, WORK the folder with its files.
set -u
name=$1 work=$2
shift 2
options=
while [ "$1" != -- ]; do
  options="$options $1"
  shift
done
shift

# With one hierarchy its root is here; else there is a folder for each.
hierarchies=/sys/fs/cgroup
[ -e /sys/fs/cgroup/cgroup.controllers ] || hierarchies='/sys/fs/cgroup/*'
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  # As every engine does, for groups below.
  sed 's/[^ ][^ ]*/+&/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
fi 2> /dev/null
for hierarchy in $hierarchies; do
  [ -e "$hierarchy/cgroup.procs" ] && mkdir "$hierarchy/$name"
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$hierarchy/$name/$file" ] && [ -z "$(cat "$hierarchy/$name/$file")" ]; then
      cat "$hierarchy/$file" > "$hierarchy/$name/$file" 2> /dev/null
    fi
  done
done

# shellcheck disable=SC2086
setpriv --pdeathsig KILL unshare $options --mount --pid --fork --kill-child "$@" > "$work/log" 2>&1 < /dev/null &
daemon=$!
init=
while [ -z "$init" ] && kill -0 $daemon 2> /dev/null; do
  read -r init _ < /proc/$daemon/task/$daemon/children || sleep 0.01
done 2> /dev/null
echo "$init"
exec > /dev/null
cat > /dev/null

kill -KILL "$init" 2> /dev/null
wait $daemon
for hierarchy in $hierarchies; do
  [ -d "$hierarchy/$name" ] && find "$hierarchy/$name" -depth -type d -exec rmdir {} ';'
done
rm -rf "$work"
