#!/bin/sh
# Applies the policy that comes with the image, or the one that is named.
set -eu
echo "npc on $(cat /etc/netsuite/machine)" >&2
exec /usr/bin/npc "${1:-/etc/netsuite/policy}"
