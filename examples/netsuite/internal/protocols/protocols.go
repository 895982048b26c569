// Package protocols knows the IP protocols by number and by name. Its table is generated: go generate ./...
package protocols

//go:generate go run example.org/netsuite/internal/gen/protocols table.txt generated.go

import "strconv"

// Name is the protocol's name, or its number where it has none here.
func Name(number uint8) string {
	if name, ok := names[number]; ok {
		return name
	}
	return strconv.Itoa(int(number))
}

// Number finds a protocol by name or decimal number.
func Number(name string) (uint8, bool) {
	for number, n := range names {
		if n == name {
			return number, true
		}
	}
	number, err := strconv.ParseUint(name, 10, 8)
	return uint8(number), err == nil
}
