// Router keeps the mesh: it tells its peers what it knows, learns from them, and hands out addresses over HTTP.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"sort"

	"example.org/netsuite/internal/capture"
	"example.org/netsuite/internal/ipam"
	"example.org/netsuite/internal/mesh"
	"example.org/netsuite/internal/protocols"
	"example.org/netsuite/internal/version"
)

type config struct {
	Name   string   `json:"name"`
	Listen string   `json:"listen"`
	Range  string   `json:"range"`
	Peers  []string `json:"peers"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("router: ")
	showVersion := flag.Bool("version", false, "print the version")
	read := flag.String("read", "", "count the IPv4 packets of a capture `file` by protocol, and exit")
	path := flag.String("config", "/etc/netsuite/router.json", "configuration `file`")
	check := flag.Bool("check", false, "read the configuration, print the mesh's digest, and exit")
	flag.Parse()
	switch {
	case *showVersion:
		fmt.Println(version.Line("router"))
		fmt.Println(capture.Library())
	case *read != "":
		if err := count(*read); err != nil {
			log.Fatal(err)
		}
	default:
		if err := serve(*path, *check); err != nil {
			log.Fatal(err)
		}
	}
}

func count(path string) error {
	counts, err := capture.Count(path)
	if err != nil {
		return err
	}
	numbers := make([]int, 0, len(counts))
	for number := range counts {
		numbers = append(numbers, int(number))
	}
	sort.Ints(numbers)
	for _, number := range numbers {
		fmt.Printf("%s %d\n", protocols.Name(uint8(number)), counts[uint8(number)])
	}
	return nil
}

func serve(path string, check bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	pool, err := ipam.New(c.Range)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m := mesh.New()
	m.Merge(mesh.Peer{Name: c.Name, Version: 1, Links: c.Peers})
	if check {
		fmt.Println(m.Digest())
		return nil
	}
	log.Printf("%s listens on %s", c.Name, c.Listen)
	return http.ListenAndServe(c.Listen, handler(m, pool))
}

// handler: GET and POST /mesh, PUT and DELETE /ip/OWNER.
func handler(m *mesh.Mesh, pool *ipam.Pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/mesh", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var peers []mesh.Peer
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&peers); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			m.Merge(peers...)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(m)
	})
	mux.HandleFunc("/ip/", func(w http.ResponseWriter, r *http.Request) {
		owner := r.URL.Path[len("/ip/"):]
		switch r.Method {
		case http.MethodPut:
			addr, err := pool.Allocate(owner)
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, addr)
		case http.MethodDelete:
			if !pool.Release(owner) {
				http.NotFound(w, r)
			}
		default:
			http.Error(w, "PUT or DELETE", http.StatusMethodNotAllowed)
		}
	})
	return mux
}
