//go:build !nft

package main

import (
	"fmt"
	"io"

	"example.org/netsuite/internal/policy"
)

var selected backend = dry{}

type dry struct{}

func (dry) name() string { return "dry" }

func (dry) write(w io.Writer, rules policy.Rules) error {
	for _, rule := range rules {
		if _, err := fmt.Fprintln(w, "would", rule); err != nil {
			return err
		}
	}
	return nil
}
