// Package capture reads packets with libpcap, which it finds through pkg-config.
package capture

/*
#cgo pkg-config: libpcap
#include <stdlib.h>
#include <pcap/pcap.h>
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"io"
	"unsafe"
)

// Library is libpcap's own word about its version.
func Library() string {
	return C.GoString(C.pcap_lib_version())
}

// Count reads a capture file and counts its IPv4 packets by protocol number.
func Count(path string) (map[uint8]int, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	message := (*C.char)(C.calloc(1, C.PCAP_ERRBUF_SIZE))
	defer C.free(unsafe.Pointer(message))
	handle := C.pcap_open_offline(name, message)
	if handle == nil {
		return nil, errors.New(C.GoString(message))
	}
	defer C.pcap_close(handle)
	counts := map[uint8]int{}
	for {
		frame, err := next(handle)
		if err == io.EOF {
			return counts, nil
		}
		if err != nil {
			return nil, err
		}
		if len(frame) >= 34 && binary.BigEndian.Uint16(frame[12:]) == 0x0800 {
			counts[frame[23]]++
		}
	}
}

func next(handle *C.pcap_t) ([]byte, error) {
	var header *C.struct_pcap_pkthdr
	var data *C.u_char
	switch C.pcap_next_ex(handle, &header, &data) {
	case 1:
		return C.GoBytes(unsafe.Pointer(data), C.int(header.caplen)), nil
	case C.PCAP_ERROR_BREAK:
		return nil, io.EOF
	default:
		return nil, errors.New(C.GoString(C.pcap_geterr(handle)))
	}
}
