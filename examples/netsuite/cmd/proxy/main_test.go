package main

import "testing"

func TestSelf(t *testing.T) {
	if err := test(); err != nil {
		t.Fatal(err)
	}
}
