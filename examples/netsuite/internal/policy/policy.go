// Package policy decides which pods may talk: the first rule that matches, else no.
package policy

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"example.org/netsuite/internal/protocols"
)

// Rule allows or denies packets of one protocol from one range to one port; port 0 is any.
type Rule struct {
	Allow    bool
	Protocol uint8
	From     netip.Prefix
	Port     uint16
}

// Rules are tried from the first to the last.
type Rules []Rule

// Parse reads lines like "allow tcp from 10.0.0.0/8 port 80". Empty lines and what follows a # do not count.
func Parse(r io.Reader) (Rules, error) {
	var rules Rules
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		rule, err := parse(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rules = append(rules, rule)
	}
	return rules, lines.Err()
}

func parse(f []string) (rule Rule, err error) {
	if len(f) != 4 && len(f) != 6 || f[0] != "allow" && f[0] != "deny" || f[2] != "from" || len(f) == 6 && f[4] != "port" {
		return rule, fmt.Errorf("%q: want allow|deny PROTOCOL from RANGE [port PORT]", strings.Join(f, " "))
	}
	rule.Allow = f[0] == "allow"
	var known bool
	if rule.Protocol, known = protocols.Number(f[1]); !known {
		return rule, fmt.Errorf("unknown protocol %q", f[1])
	}
	if rule.From, err = netip.ParsePrefix(f[3]); err != nil {
		return rule, err
	}
	if len(f) == 6 {
		port, err := strconv.ParseUint(f[5], 10, 16)
		if err != nil {
			return rule, err
		}
		rule.Port = uint16(port)
	}
	return rule, nil
}

// Allows decides about one packet.
func (r Rules) Allows(protocol uint8, from netip.Addr, port uint16) bool {
	for _, rule := range r {
		if rule.Protocol == protocol && rule.From.Contains(from) && (rule.Port == 0 || rule.Port == port) {
			return rule.Allow
		}
	}
	return false
}

// String is the rule as Parse reads it.
func (r Rule) String() string {
	verb := "deny"
	if r.Allow {
		verb = "allow"
	}
	text := fmt.Sprintf("%s %s from %s", verb, protocols.Name(r.Protocol), r.From)
	if r.Port != 0 {
		text += fmt.Sprintf(" port %d", r.Port)
	}
	return text
}
