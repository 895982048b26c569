// Package ipam hands out addresses of one range, lowest free one first.
package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// ErrFull says that every address of the range is taken.
var ErrFull = errors.New("no free address")

// Pool is a range of IPv4 addresses. The network's own and its broadcast address are never handed out.
type Pool struct {
	mu     sync.Mutex
	prefix netip.Prefix
	owner  map[netip.Addr]string
}

// New makes a pool of an IPv4 prefix.
func New(cidr string) (*Pool, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, err
	}
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return nil, fmt.Errorf("%s: want an IPv4 range of at least four addresses", cidr)
	}
	return &Pool{prefix: prefix.Masked(), owner: map[netip.Addr]string{}}, nil
}

// Allocate gives owner an address: the one it has already, if any.
func (p *Pool) Allocate(owner string) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, o := range p.owner {
		if o == owner {
			return addr, nil
		}
	}
	last := Last(p.prefix)
	for addr := p.prefix.Addr().Next(); addr != last; addr = addr.Next() {
		if _, taken := p.owner[addr]; !taken {
			p.owner[addr] = owner
			return addr, nil
		}
	}
	return netip.Addr{}, ErrFull
}

// Release frees what owner has and says whether it had anything.
func (p *Pool) Release(owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, o := range p.owner {
		if o == owner {
			delete(p.owner, addr)
			return true
		}
	}
	return false
}

// Last is the highest address of an IPv4 prefix.
func Last(prefix netip.Prefix) netip.Addr {
	b := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}
