package main

import "encoding/binary"

const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherIPv6 = 0x86dd
)

// protocol names what an Ethernet frame carries, as deep as it looks: the transport protocol, else the network one.
func protocol(frame []byte) string {
	if len(frame) < 14 {
		return "truncated"
	}
	kind, payload := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	for kind == etherVLAN {
		if len(payload) < 4 {
			return "truncated"
		}
		kind, payload = binary.BigEndian.Uint16(payload[2:]), payload[4:]
	}
	switch kind {
	case etherARP:
		return "arp"
	case etherIPv4:
		if len(payload) < 20 {
			return "truncated"
		}
		return transport("ip", payload[9])
	case etherIPv6:
		if len(payload) < 40 {
			return "truncated"
		}
		return transport("ip6", payload[6])
	}
	return "other"
}

func transport(network string, number byte) string {
	switch number {
	case 1:
		return network + ".icmp"
	case 6:
		return network + ".tcp"
	case 17:
		return network + ".udp"
	case 58:
		return network + ".icmp6"
	}
	return network + ".other"
}
