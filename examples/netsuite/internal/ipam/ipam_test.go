package ipam

import (
	"errors"
	"net/netip"
	"testing"
)

func TestLowestFreeFirst(t *testing.T) {
	pool, err := New("10.32.0.7/29")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ owner, want string }{
		{"a", "10.32.0.1"}, {"b", "10.32.0.2"}, {"a", "10.32.0.1"}, {"c", "10.32.0.3"},
	} {
		if got, err := pool.Allocate(step.owner); err != nil || got.String() != step.want {
			t.Errorf("%s: %v, %v, want %s", step.owner, got, err, step.want)
		}
	}
	if !pool.Release("b") || pool.Release("b") {
		t.Error("b was to be released once")
	}
	if got, _ := pool.Allocate("d"); got.String() != "10.32.0.2" {
		t.Errorf("d: %v, want the released address", got)
	}
}

func TestFull(t *testing.T) {
	pool, err := New("10.0.0.0/30")
	if err != nil {
		t.Fatal(err)
	}
	pool.Allocate("a")
	pool.Allocate("b")
	if _, err := pool.Allocate("c"); !errors.Is(err, ErrFull) {
		t.Errorf("error is %v, want %v", err, ErrFull)
	}
}

func TestBadRanges(t *testing.T) {
	for _, cidr := range []string{"", "10.0.0.0", "10.0.0.0/31", "2001:db8::/64"} {
		if _, err := New(cidr); err == nil {
			t.Errorf("%q was accepted", cidr)
		}
	}
}

func TestLast(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.0.0.0/8": "10.255.255.255", "10.0.0.4/30": "10.0.0.7", "1.2.3.4/32": "1.2.3.4", "0.0.0.0/0": "255.255.255.255",
	} {
		if got := Last(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("%s: %v, want %s", prefix, got, want)
		}
	}
}
