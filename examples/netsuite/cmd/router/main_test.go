package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/netsuite/internal/ipam"
	"example.org/netsuite/internal/mesh"
)

func TestHandler(t *testing.T) {
	pool, err := ipam.New("10.32.0.0/30")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler(mesh.New(), pool))
	defer server.Close()
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "/ip/pod", "", "10.32.0.1\n"},
		{"PUT", "/ip/pod", "", "10.32.0.1\n"},
		{"PUT", "/ip/other", "", "10.32.0.2\n"},
		{"PUT", "/ip/third", "", "no free address\n"},
		{"DELETE", "/ip/pod", "", ""},
		{"DELETE", "/ip/pod", "", "404 page not found\n"},
		{"POST", "/mesh", `[{"name":"a","version":3,"links":["b"]}]`, `[{"name":"a","version":3,"links":["b"]}]` + "\n"},
		{"POST", "/mesh", `[{"name":"a","version":2,"links":[]}]`, `[{"name":"a","version":3,"links":["b"]}]` + "\n"},
		{"GET", "/ip/pod", "", "PUT or DELETE\n"},
	} {
		request, _ := http.NewRequest(c.method, server.URL+c.path, strings.NewReader(c.body))
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(got) != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
	}
}
