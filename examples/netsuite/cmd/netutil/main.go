// Netutil is the suite's small tool for scripts. It has no C in it and needs none to build.
package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"

	"example.org/netsuite/internal/ipam"
	"example.org/netsuite/internal/protocols"
	"example.org/netsuite/internal/version"
)

const usage = `usage: netutil range CIDR           first and last address
       netutil contains CIDR ADDR   exit code 0 if ADDR is in CIDR, else 1
       netutil protocol NAME|NUMBER the other one of the two
       netutil -version
`

func main() {
	showVersion := flag.Bool("version", false, "print the version")
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Line("netutil"))
		return
	}
	os.Exit(run(flag.Args()))
}

func run(args []string) int {
	verb := fmt.Sprintf("%s/%d", append(args, "")[0], len(args))
	var err error
	switch verb {
	case "range/2":
		var prefix netip.Prefix
		if prefix, err = netip.ParsePrefix(args[1]); err == nil && !prefix.Addr().Is4() {
			err = fmt.Errorf("%s: want IPv4", args[1])
		}
		if err == nil {
			fmt.Println(prefix.Masked().Addr(), ipam.Last(prefix))
			return 0
		}
	case "contains/3":
		var prefix netip.Prefix
		var addr netip.Addr
		if prefix, err = netip.ParsePrefix(args[1]); err == nil {
			addr, err = netip.ParseAddr(args[2])
		}
		if err == nil && prefix.Contains(addr) {
			return 0
		}
		if err == nil {
			return 1
		}
	case "protocol/2":
		number, ok := protocols.Number(args[1])
		if ok {
			if name := protocols.Name(number); name != args[1] {
				fmt.Println(name)
			} else {
				fmt.Println(number)
			}
			return 0
		}
		err = fmt.Errorf("unknown protocol %q", args[1])
	default:
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	fmt.Fprintln(os.Stderr, "netutil:", err)
	return 2
}
