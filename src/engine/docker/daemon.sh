#!/bin/sh
# Starts a Docker daemon in a privileged container, and waits until it answers; prints what it has said if it does not.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
log=/var/log/dockerd.log
groups=/sys/fs/cgroup

# Where the kernel confines programs, containers are started with its leave.
if [ -d /sys/kernel/security ] && ! mountpoint -q /sys/kernel/security; then
  mount -t securityfs none /sys/kernel/security || true
fi
# What is mounted for a container is seen in it, as on a machine.
mount --make-rshared /

if [ -e $groups/cgroup.controllers ]; then
  # Controllers are for groups below one that has no processes. Some end before they have moved.
  mkdir -p $groups/init
  processes=$(cat $groups/cgroup.procs)
  for process in $processes; do
    echo "$process" > $groups/init/cgroup.procs || true
  done 2> /dev/null
  sed 's/[^ ][^ ]*/+&/g' $groups/cgroup.controllers > $groups/cgroup.subtree_control
else
  # Each of the older hierarchies has a folder. The one without controllers is of the newer kind.
  while IFS=: read -r _ controllers _; do
    folder=$groups/${controllers#name=}
    if [ -n "$controllers" ] && ! mountpoint -q "$folder"; then
      mkdir -p "$folder"
      mount -t cgroup -o "$controllers" cgroup "$folder"
    fi
  done < /proc/self/cgroup
fi

# The kernel has two interfaces to its firewall, and need not offer both.
if ! iptables -nL > /dev/null 2>&1 && iptables-legacy -nL > /dev/null 2>&1; then
  update-alternatives --set iptables /usr/sbin/iptables-legacy > /dev/null
  update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy > /dev/null
fi

setsid dockerd --host unix:///var/run/docker.sock > $log 2>&1 < /dev/null &
daemon=$!
tries=0
until docker --host unix:///var/run/docker.sock version > /dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ] || ! kill -0 $daemon 2> /dev/null; then
    tail -n 40 $log
    exit 1
  fi
  sleep 0.1
done
