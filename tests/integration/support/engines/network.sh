#!/bin/sh
# Gives an engine a network of its own, while its first process stays in the one that the tests are in; what follows runs
# programs there by `inside`. slirp4netns brings the network of the tests in, without any rule in a firewall.

busybox unshare --net sleep 2147483647 &
holder=$!
until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
inside() {
  busybox nsenter -t $holder -n "$@"
}
inside ip link set lo up
slirp4netns --configure --mtu 1400 --disable-host-loopback $holder tap0 > /exchange/slirp4netns.log 2>&1 &
