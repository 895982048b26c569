// Npc applies a network policy. Where the rules go is chosen when it is built: with the tag nft it writes them as an
// nftables script; without, it only says what it would do.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"example.org/netsuite/internal/policy"
	"example.org/netsuite/internal/version"
)

// backend turns rules into what enforces them.
type backend interface {
	name() string
	write(w io.Writer, rules policy.Rules) error
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("npc: ")
	showVersion := flag.Bool("version", false, "print the version and the backend")
	flag.Usage = func() { fmt.Fprintln(flag.CommandLine.Output(), "usage: npc -version | FILE") }
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Line("npc"), selected.name())
		return
	}
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := apply(os.Stdout, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func apply(w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	rules, err := policy.Parse(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return selected.write(w, rules)
}
