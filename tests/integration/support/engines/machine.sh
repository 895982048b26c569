#!/bin/sh
# The first process of a machine: a pair of interfaces joins its network with that of the tests. Busybox has an `ip` too,
# which knows less.

# shellcheck source=tests/integration/support/engines/network.sh
. /exchange/network.sh

# That there is one interface of a name keeps tests that run side by side apart.
number=$(($(od -An -N2 -tu2 /dev/urandom) % 16384))
until /usr/bin/ip link add "xb$number" type veth peer name eth0 netns "$holder"; do
  number=$(((number + 1) % 16384))
done
network=10.213.$((number / 64))
here=$network.$((number % 64 * 4 + 1)) there=$network.$((number % 64 * 4 + 2))
/usr/bin/ip address add "$here/30" dev "xb$number"
/usr/bin/ip link set "xb$number" up
inside /usr/bin/ip address add "$there/30" dev eth0
inside /usr/bin/ip link set eth0 up
echo "xb$number $there" > /exchange/address.new
mv /exchange/address.new /exchange/address

# Certificates are for an address.
until [ -e /exchange/go ]; do sleep 0.02; done
mkdir -p /run/sshd
inside /usr/sbin/sshd -D -e -f /exchange/sshd_config &
inside dockerd --host unix:///exchange/socket --host unix:///run/docker.sock --host tcp://0.0.0.0:2376 \
  --tlsverify --tlscacert /exchange/server/ca.pem --tlscert /exchange/server/cert.pem --tlskey /exchange/server/key.pem \
  --data-root /exchange/data --storage-driver overlay2 --feature containerd-snapshotter=false
touch /exchange/ended
wait
