package policy

import (
	"net/netip"
	"strings"
	"testing"
)

const text = `
deny tcp from 10.9.0.0/16   # a noisy neighbour
allow tcp from 10.0.0.0/8 port 80
allow udp from 0.0.0.0/0 port 53
allow icmp from 10.0.0.0/8
`

func TestFirstMatchDecides(t *testing.T) {
	rules, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		protocol uint8
		from     string
		port     uint16
		want     bool
	}{
		{6, "10.1.2.3", 80, true},
		{6, "10.1.2.3", 81, false},
		{6, "10.9.2.3", 80, false},
		{17, "192.0.2.1", 53, true},
		{1, "10.9.2.3", 0, true},
		{132, "10.1.2.3", 80, false},
	} {
		if got := rules.Allows(c.protocol, netip.MustParseAddr(c.from), c.port); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestStringParses(t *testing.T) {
	rules, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		again, err := Parse(strings.NewReader(rule.String()))
		if err != nil || len(again) != 1 || again[0] != rule {
			t.Errorf("%v became %v, %v", rule, again, err)
		}
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, bad := range []string{"allow", "allow tcp to 10.0.0.0/8", "allow porridge from 10.0.0.0/8",
		"allow tcp from 10.0.0.0", "deny udp from 10.0.0.0/8 port 70000"} {
		if _, err := Parse(strings.NewReader("\n" + bad)); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
