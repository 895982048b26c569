// Package mesh is what the routers know of each other: a map that any two of them merge to the same result,
// whatever the order of their talks.
package mesh

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"sort"
	"sync"
)

// Peer is one router's word about itself; the higher version is the newer one.
type Peer struct {
	Name    string   `json:"name"`
	Version uint64   `json:"version"`
	Links   []string `json:"links"`
}

// Mesh is safe for use by several goroutines.
type Mesh struct {
	mu    sync.RWMutex
	peers map[string]Peer
}

// New makes an empty mesh.
func New() *Mesh {
	return &Mesh{peers: map[string]Peer{}}
}

// Merge takes over what is news and says how much that was.
func (m *Mesh) Merge(peers ...Peer) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := 0
	for _, p := range peers {
		p.Links = append([]string(nil), p.Links...)
		sort.Strings(p.Links)
		if old, ok := m.peers[p.Name]; !ok || newer(p, old) {
			m.peers[p.Name] = p
			news++
		}
	}
	return news
}

// newer decides between two words of one version by their bytes, so that all routers decide alike.
func newer(a, b Peer) bool {
	if a.Version != b.Version {
		return a.Version > b.Version
	}
	return bytes.Compare(encode(a), encode(b)) > 0
}

// Peers lists all peers by name.
func (m *Mesh) Peers() []Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	peers := make([]Peer, 0, len(m.peers))
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	sort.Slice(peers, func(i, j int) bool { return peers[i].Name < peers[j].Name })
	return peers
}

// Digest is the same for meshes that know the same, on machines of either byte order.
func (m *Mesh) Digest() string {
	h := sha256.New()
	for _, p := range m.Peers() {
		h.Write(encode(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func encode(p Peer) []byte {
	b := binary.BigEndian.AppendUint64(nil, p.Version)
	for _, s := range append([]string{p.Name}, p.Links...) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	return binary.BigEndian.AppendUint32(b, uint32(len(p.Links)))
}

// MarshalJSON is what routers send each other.
func (m *Mesh) MarshalJSON() ([]byte, error) {
	return json.Marshal(m.Peers())
}
