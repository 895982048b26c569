package mesh

import (
	"encoding/json"
	"testing"
)

var words = []Peer{
	{Name: "a", Version: 1, Links: []string{"b"}},
	{Name: "a", Version: 2, Links: []string{"c", "b"}},
	{Name: "b", Version: 1, Links: []string{"a"}},
	{Name: "b", Version: 1, Links: []string{"a", "c"}},
	{Name: "c", Version: 7},
}

func TestOrderDoesNotMatter(t *testing.T) {
	forth, back := New(), New()
	for i := range words {
		forth.Merge(words[i])
		back.Merge(words[len(words)-1-i])
	}
	if forth.Digest() != back.Digest() {
		t.Errorf("%v and %v differ", forth.Peers(), back.Peers())
	}
	if n := forth.Merge(back.Peers()...); n != 0 {
		t.Errorf("%d news between equals", n)
	}
}

// The digest is a constant: it must not depend on the architecture.
func TestDigest(t *testing.T) {
	m := New()
	m.Merge(words...)
	const want = "84d6e65f51990c9ffb3e0c480d668a2aaf5d9903cc26d635658be36035b77343"
	if got := m.Digest(); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	m := New()
	m.Merge(words...)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var peers []Peer
	if err := json.Unmarshal(text, &peers); err != nil {
		t.Fatal(err)
	}
	other := New()
	other.Merge(peers...)
	if m.Digest() != other.Digest() {
		t.Errorf("%s did not survive", text)
	}
}
