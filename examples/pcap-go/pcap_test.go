package main

import (
	"bytes"
	"os"
	"testing"
)

// The two captures hold the same packets, one written in either byte order.
func TestCounts(t *testing.T) {
	want, err := os.ReadFile("testdata/counts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"testdata/http.pcap", "testdata/http-be.pcap"} {
		sum, err := summarize(name, "")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		sum.print(&got)
		if got.String() != string(want) {
			t.Errorf("%s:\n%swant:\n%s", name, got.String(), want)
		}
	}
}

func TestFilter(t *testing.T) {
	for filter, want := range map[string]int{
		"tcp port 80":           9,
		"udp and ip6":           2,
		"vlan 7":                1,
		"tcp[tcpflags] == 0x02": 1,
		"host 192.0.2.99":       0,
	} {
		sum, err := summarize("testdata/http.pcap", filter)
		if err != nil {
			t.Fatal(err)
		}
		if sum.packets != want {
			t.Errorf("%q: %d packets, want %d", filter, sum.packets, want)
		}
	}
	if _, err := summarize("testdata/http.pcap", "tcp porridge"); err == nil {
		t.Error("a wrong filter was accepted")
	}
}

func TestNoSuchFile(t *testing.T) {
	if _, err := summarize("testdata/none.pcap", ""); err == nil {
		t.Error("no error for a file that does not exist")
	}
}

func TestProtocolOfShortFrames(t *testing.T) {
	frame := make([]byte, 14+39)
	frame[12], frame[13] = 0x86, 0xdd
	for n := 0; n < len(frame); n++ {
		if got := protocol(frame[:n]); got != "truncated" {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}
