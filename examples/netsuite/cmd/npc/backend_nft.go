//go:build nft

package main

import (
	"bytes"
	"fmt"
	"io"

	"example.org/netsuite/internal/policy"
	"example.org/netsuite/internal/protocols"
)

var selected backend = nft{}

type nft struct{}

func (nft) name() string { return "nft" }

func (nft) write(w io.Writer, rules policy.Rules) error {
	var b bytes.Buffer
	b.WriteString("table inet netsuite {\n\tchain pods {\n\t\ttype filter hook forward priority 0; policy drop;\n")
	for _, rule := range rules {
		family, verdict := "ip", "drop"
		if rule.From.Addr().Is6() {
			family = "ip6"
		}
		if rule.Allow {
			verdict = "accept"
		}
		fmt.Fprintf(&b, "\t\t%s saddr %s meta l4proto %s", family, rule.From, protocols.Name(rule.Protocol))
		if rule.Port != 0 {
			fmt.Fprintf(&b, " th dport %d", rule.Port)
		}
		fmt.Fprintf(&b, " %s\n", verdict)
	}
	b.WriteString("\t}\n}\n")
	_, err := w.Write(b.Bytes())
	return err
}
