// Pcap-go counts the packets of a capture file, protocol by protocol.
//
// It is the smallest useful Go program that needs a C library: libpcap opens the file, deals with its byte order, and
// compiles and runs the optional filter; Go looks into the packets.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"time"
	"unsafe"
)

// version is set at link time: -ldflags "-X main.version=1.2".
var version = "dev"

func main() {
	showVersion := flag.Bool("version", false, "print the version, the architecture and libpcap's version")
	counts := flag.Bool("counts", false, "print the counts only: the same text on every architecture")
	filter := flag.String("filter", "", "count only what matches this pcap-filter(7) `expression`")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: pcap-go [-counts] [-filter EXPR] FILE | -version\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *showVersion {
		printVersion(os.Stdout)
		return
	}
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	sum, err := summarize(flag.Arg(0), *filter)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pcap-go:", err)
		os.Exit(1)
	}
	if !*counts {
		printVersion(os.Stdout)
	}
	sum.print(os.Stdout)
}

func printVersion(w io.Writer) {
	fmt.Fprintf(w, "pcap-go %s %s/%s %s-endian %d-bit\n",
		version, runtime.GOOS, runtime.GOARCH, endianness(), 8*unsafe.Sizeof(uintptr(0)))
	fmt.Fprintln(w, libraryVersion())
}

// endianness looks at memory rather than at a table of architectures, so it is a fact and not a claim.
func endianness() string {
	x := uint16(1)
	if binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&x))[:]) == 1 {
		return "big"
	}
	return "little"
}

type summary struct {
	link        string
	packets     int
	bytes       uint64
	first, last time.Time
	protocols   map[string]int
}

func summarize(path, filter string) (*summary, error) {
	capture, err := openOffline(path)
	if err != nil {
		return nil, err
	}
	defer capture.close()
	if filter != "" {
		if err := capture.setFilter(filter); err != nil {
			return nil, err
		}
	}
	sum := &summary{link: capture.linkType(), protocols: map[string]int{}}
	for {
		p, err := capture.next()
		if err == io.EOF {
			return sum, nil
		}
		if err != nil {
			return nil, err
		}
		if sum.packets == 0 {
			sum.first = p.time
		}
		sum.last = p.time
		sum.packets++
		sum.bytes += uint64(p.length)
		sum.protocols[protocol(p.data)]++
	}
}

func (s *summary) print(w io.Writer) {
	fmt.Fprintf(w, "link    %s\npackets %d\nbytes   %d\n", s.link, s.packets, s.bytes)
	if s.packets > 0 {
		fmt.Fprintf(w, "first   %s\n", s.first.UTC().Format(time.RFC3339Nano))
		fmt.Fprintf(w, "last    %s\n", s.last.UTC().Format(time.RFC3339Nano))
	}
	names := make([]string, 0, len(s.protocols))
	for name := range s.protocols {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Fprintf(w, "  %-10s %d\n", name, s.protocols[name])
	}
}
