package protocols

import "testing"

func TestBothWays(t *testing.T) {
	for number, name := range map[uint8]string{1: "icmp", 6: "tcp", 132: "sctp", 200: "200"} {
		if got := Name(number); got != name {
			t.Errorf("Name(%d) = %q, want %q", number, got, name)
		}
		if got, ok := Number(name); !ok || got != number {
			t.Errorf("Number(%q) = %d, %v, want %d", name, got, ok, number)
		}
	}
	for _, name := range []string{"", "256", "porridge"} {
		if got, ok := Number(name); ok {
			t.Errorf("Number(%q) = %d, want none", name, got)
		}
	}
}
