// Mkpcap writes the captures beside it: http.pcap in little-endian and http-be.pcap in big-endian byte order, with the
// same packets. Every byte is made here, nothing was captured: addresses and names are those reserved for documentation.
//
//	go run ./testdata/mkpcap
package main

import (
	"bytes"
	"encoding/binary"
	"log"
	"net/netip"
	"os"
	"path/filepath"
)

const (
	flagFIN, flagSYN, flagPSH, flagACK = 0x01, 0x02, 0x08, 0x10
	start                              = 1700000000 // 2023-11-14T22:13:20Z
)

var (
	clientMAC = []byte{0x02, 0x00, 0x5e, 0x00, 0x53, 0x01}
	serverMAC = []byte{0x02, 0x00, 0x5e, 0x00, 0x53, 0x02}
	broadcast = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	lldpMAC   = []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

	client  = netip.MustParseAddr("192.0.2.10")
	server  = netip.MustParseAddr("192.0.2.20")
	client6 = netip.MustParseAddr("2001:db8::10")
	server6 = netip.MustParseAddr("2001:db8::20")
)

func main() {
	log.SetFlags(0)
	packets := scene()
	for name, order := range map[string]binary.ByteOrder{
		"http.pcap": binary.LittleEndian, "http-be.pcap": binary.BigEndian,
	} {
		if err := os.WriteFile(filepath.Join("testdata", name), pcap(order, packets), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// scene is a client that finds its server, asks for a page, and says a little more.
func scene() [][]byte {
	get := []byte("GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n")
	page := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n")
	c, s := uint32(1000), uint32(70000)
	toServer := func(flags byte, data []byte) []byte {
		p := ether(serverMAC, clientMAC, 0x0800, ip4(client, server, 6, tcp(client, server, 40000, 80, c, s, flags, data)))
		c += length(flags, data)
		return p
	}
	toClient := func(flags byte, data []byte) []byte {
		p := ether(clientMAC, serverMAC, 0x0800, ip4(server, client, 6, tcp(server, client, 80, 40000, s, c, flags, data)))
		s += length(flags, data)
		return p
	}
	question := dns(0x1234, 0x0100, 1, nil)
	answer := dns(0x1234, 0x8180, 1, server.AsSlice())
	question6 := dns(0x1235, 0x0100, 28, nil)
	answer6 := dns(0x1235, 0x8180, 28, server6.AsSlice())
	return [][]byte{
		ether(broadcast, clientMAC, 0x0806, arp(1, clientMAC, client, make([]byte, 6), server)),
		ether(clientMAC, serverMAC, 0x0806, arp(2, serverMAC, server, clientMAC, client)),
		ether(serverMAC, clientMAC, 0x0800, ip4(client, server, 17, udp(client, server, 40001, 53, question))),
		ether(clientMAC, serverMAC, 0x0800, ip4(server, client, 17, udp(server, client, 53, 40001, answer))),
		toServer(flagSYN, nil),
		toClient(flagSYN|flagACK, nil),
		toServer(flagACK, nil),
		toServer(flagPSH|flagACK, get),
		toClient(flagACK, nil),
		toClient(flagPSH|flagACK, page),
		toServer(flagACK, nil),
		toClient(flagFIN|flagACK, nil),
		toServer(flagFIN|flagACK, nil),
		ether(serverMAC, clientMAC, 0x0800, ip4(client, server, 1, echo(8, 1))),
		ether(clientMAC, serverMAC, 0x0800, ip4(server, client, 1, echo(0, 1))),
		ether(solicited(server6), clientMAC, 0x86dd, ip6(client6, solicitedAddr(server6), 58, 255, solicitation(client6, server6))),
		ether(serverMAC, clientMAC, 0x86dd, ip6(client6, server6, 58, 64, echo6(client6, server6))),
		ether(serverMAC, clientMAC, 0x86dd, ip6(client6, server6, 17, 64, udp(client6, server6, 40002, 53, question6))),
		ether(clientMAC, serverMAC, 0x86dd, ip6(server6, client6, 17, 64, udp(server6, client6, 53, 40002, answer6))),
		ether(serverMAC, clientMAC, 0x8100, join(u16(7), u16(0x0800), ip4(client, server, 17,
			udp(client, server, 40003, 9999, []byte("on vlan 7"))))),
		ether(lldpMAC, serverMAC, 0x88cc, lldp()),
	}
}

func pcap(order binary.ByteOrder, packets [][]byte) []byte {
	var b bytes.Buffer
	put := func(v any) { binary.Write(&b, order, v) }
	put(uint32(0xa1b2c3d4)) // microseconds
	put([2]uint16{2, 4})
	put([4]uint32{0, 0, 65535, 1}) // zone, accuracy, snapshot length, Ethernet
	for i, p := range packets {
		put([4]uint32{start + uint32(i)/4, uint32(i) % 4 * 250000, uint32(len(p)), uint32(len(p))})
		b.Write(p)
	}
	return b.Bytes()
}

func ether(to, from []byte, kind uint16, payload []byte) []byte {
	return join(to, from, u16(kind), payload)
}

func arp(op uint16, fromMAC []byte, from netip.Addr, toMAC []byte, to netip.Addr) []byte {
	return join(u16(1), u16(0x0800), []byte{6, 4}, u16(op), fromMAC, from.AsSlice(), toMAC, to.AsSlice())
}

func ip4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	h := join([]byte{0x45, 0}, u16(uint16(20+len(payload))), u16(1), u16(0x4000), []byte{64, protocol}, u16(0),
		from.AsSlice(), to.AsSlice())
	return join(sum(h, 10, nil), payload)
}

func ip6(from, to netip.Addr, next, hops byte, payload []byte) []byte {
	return join([]byte{0x60, 0, 0, 0}, u16(uint16(len(payload))), []byte{next, hops}, from.AsSlice(), to.AsSlice(), payload)
}

func tcp(from, to netip.Addr, source, destination uint16, seq, ack uint32, flags byte, data []byte) []byte {
	if flags&flagACK == 0 {
		ack = 0
	}
	h := join(u16(source), u16(destination), u32(seq), u32(ack), []byte{5 << 4, flags}, u16(64240), u16(0), u16(0), data)
	return sum(h, 16, pseudo(from, to, 6, len(h)))
}

// length is how far a segment moves the sequence number.
func length(flags byte, data []byte) uint32 {
	n := uint32(len(data))
	if flags&(flagSYN|flagFIN) != 0 {
		n++
	}
	return n
}

func udp(from, to netip.Addr, source, destination uint16, data []byte) []byte {
	h := join(u16(source), u16(destination), u16(uint16(8+len(data))), u16(0), data)
	return sum(h, 6, pseudo(from, to, 17, len(h)))
}

func echo(kind byte, seq uint16) []byte {
	return sum(join([]byte{kind, 0}, u16(0), u16(77), u16(seq), []byte("abcdefghijklmnop")), 2, nil)
}

func echo6(from, to netip.Addr) []byte {
	m := join([]byte{128, 0}, u16(0), u16(77), u16(1), []byte("abcdefghijklmnop"))
	return sum(m, 2, pseudo(from, to, 58, len(m)))
}

func solicitation(from, target netip.Addr) []byte {
	m := join([]byte{135, 0}, u16(0), u32(0), target.AsSlice(), []byte{1, 1}, clientMAC)
	return sum(m, 2, pseudo(from, solicitedAddr(target), 58, len(m)))
}

func solicitedAddr(a netip.Addr) netip.Addr {
	b, m := a.As16(), netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(m[13:], b[13:])
	return netip.AddrFrom16(m)
}

func solicited(a netip.Addr) []byte {
	m := solicitedAddr(a).As16()
	return join([]byte{0x33, 0x33}, m[12:])
}

// dns is a question for www.example.org (kind 1: A, 28: AAAA), with the answer if there is one.
func dns(id, flags, kind uint16, answer []byte) []byte {
	answers := uint16(0)
	var record []byte
	if answer != nil {
		answers = 1
		record = join(u16(0xc00c), u16(kind), u16(1), u32(300), u16(uint16(len(answer))), answer)
	}
	return join(u16(id), u16(flags), u16(1), u16(answers), u16(0), u16(0),
		[]byte("\x03www\x07example\x03org\x00"), u16(kind), u16(1), record)
}

func lldp() []byte {
	tlv := func(kind int, value []byte) []byte { return join(u16(uint16(kind<<9|len(value))), value) }
	return join(tlv(1, join([]byte{4}, serverMAC)), tlv(2, []byte("\x05eth0")), tlv(3, u16(120)),
		tlv(5, []byte("switch.example.org")), tlv(0, nil))
}

func pseudo(from, to netip.Addr, protocol byte, length int) []byte {
	if from.Is4() {
		return join(from.AsSlice(), to.AsSlice(), []byte{0, protocol}, u16(uint16(length)))
	}
	return join(from.AsSlice(), to.AsSlice(), u32(uint32(length)), []byte{0, 0, 0, protocol})
}

// sum puts the Internet checksum of head and b into b at offset at, which must hold zeros.
func sum(b []byte, at int, head []byte) []byte {
	all := join(head, b)
	if len(all)%2 == 1 {
		all = append(all, 0)
	}
	var s uint32
	for i := 0; i < len(all); i += 2 {
		s += uint32(binary.BigEndian.Uint16(all[i:]))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	c := ^uint16(s)
	if c == 0 {
		c = 0xffff // zero would say "no checksum" in UDP; both are the same number in one's complement
	}
	binary.BigEndian.PutUint16(b[at:], c)
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func u16(v uint16) []byte         { return binary.BigEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte         { return binary.BigEndian.AppendUint32(nil, v) }
