package main

import (
	"bytes"
	"os"
	"testing"
)

// Runs for either backend: go test, go test -tags nft.
func TestApply(t *testing.T) {
	want, err := os.ReadFile("../../testdata/policy." + selected.name())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := apply(&got, "../../config/policy"); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
}
