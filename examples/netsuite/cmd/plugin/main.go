// Plugin answers a container engine's questions about addresses: one JSON request per line in, one answer per line out.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"example.org/netsuite/internal/ipam"
	"example.org/netsuite/internal/version"
)

type request struct {
	Verb  string `json:"verb"`
	Owner string `json:"owner"`
}

type answer struct {
	Address string `json:"address,omitempty"`
	Error   string `json:"error,omitempty"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("plugin: ")
	showVersion := flag.Bool("version", false, "print the version")
	cidr := flag.String("range", "10.32.0.0/12", "`range` to hand out")
	socket := flag.String("socket", "", "listen on this Unix socket `path` instead of talking on stdin and stdout")
	flag.Parse()
	if *showVersion {
		fmt.Println(version.Line("plugin"))
		return
	}
	pool, err := ipam.New(*cidr)
	if err != nil {
		log.Fatal(err)
	}
	if *socket == "" {
		err = talk(os.Stdin, os.Stdout, pool)
	} else {
		err = listen(*socket, pool)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func listen(path string, pool *ipam.Pool) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer listener.Close()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			if err := talk(connection, connection, pool); err != nil {
				log.Print(err)
			}
		}()
	}
}

func talk(r io.Reader, w io.Writer, pool *ipam.Pool) error {
	lines, out := bufio.NewScanner(r), json.NewEncoder(w)
	for lines.Scan() {
		if err := out.Encode(reply(lines.Bytes(), pool)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func reply(line []byte, pool *ipam.Pool) answer {
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		return answer{Error: err.Error()}
	}
	switch q.Verb {
	case "allocate":
		addr, err := pool.Allocate(q.Owner)
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Address: addr.String()}
	case "release":
		if !pool.Release(q.Owner) {
			return answer{Error: "nothing to release"}
		}
		return answer{}
	}
	return answer{Error: fmt.Sprintf("unknown verb %q", q.Verb)}
}
