package main

import (
	"bytes"
	"os"
	"testing"

	"example.org/netsuite/internal/ipam"
)

func TestTalk(t *testing.T) {
	questions, err := os.Open("../../testdata/plugin.in")
	if err != nil {
		t.Fatal(err)
	}
	defer questions.Close()
	want, err := os.ReadFile("../../testdata/plugin.out")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := ipam.New("10.32.0.0/30")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := talk(questions, &got, pool); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%swant:\n%s", got.String(), want)
	}
}
