#!/bin/sh
# The first process of a machine. It stays in the network that the tests are in; the engine, what reaches it, and its
# containers have one of their own. A pair of interfaces joins the two, and slirp4netns brings the rest of the world there
# without any rule in a firewall. Busybox has an `ip` too, which knows less.

cat > /run/inside <<'END'
/usr/bin/ip link set lo up
# Certificates are for an address.
until [ -e /exchange/go ]; do sleep 0.02; done
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f /exchange/sshd_config &
exec dockerd --host unix:///exchange/socket --host unix:///run/docker.sock --host tcp://0.0.0.0:2376 \
  --tlsverify --tlscacert /exchange/server/ca.pem --tlscert /exchange/server/cert.pem --tlskey /exchange/server/key.pem \
  --data-root /exchange/data --storage-driver overlay2 --feature containerd-snapshotter=false
END
busybox unshare --net busybox sh /run/inside &
inside=$!
until [ "$(readlink /proc/$inside/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done

# That there is one interface of a name keeps tests that run side by side apart.
number=$(($(od -An -N2 -tu2 /dev/urandom) % 16384))
until /usr/bin/ip link add "xb$number" type veth peer name eth0 netns "$inside"; do number=$(((number + 1) % 16384)); done
network=10.213.$((number / 64))
here=$network.$((number % 64 * 4 + 1)) there=$network.$((number % 64 * 4 + 2))
/usr/bin/ip address add "$here/30" dev "xb$number"
/usr/bin/ip link set "xb$number" up
busybox nsenter -t "$inside" -n /usr/bin/ip address add "$there/30" dev eth0
busybox nsenter -t "$inside" -n /usr/bin/ip link set eth0 up
slirp4netns --configure --mtu 1400 --disable-host-loopback "$inside" tap0 &
echo "xb$number $there" > /exchange/address.new
mv /exchange/address.new /exchange/address
wait $inside
touch /exchange/ended
wait
