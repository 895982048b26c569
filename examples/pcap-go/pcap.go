package main

/*
#cgo LDFLAGS: -lpcap
#include <stdlib.h>
#include <pcap/pcap.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"
)

func libraryVersion() string {
	return C.GoString(C.pcap_lib_version())
}

// capture is an open capture file.
type capture struct {
	handle *C.pcap_t
}

// packet is one packet of a capture; data is the part of it that was kept, length what it had on the wire.
type packet struct {
	time   time.Time
	length uint32
	data   []byte
}

func openOffline(path string) (*capture, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	message := (*C.char)(C.calloc(1, C.PCAP_ERRBUF_SIZE))
	defer C.free(unsafe.Pointer(message))
	handle := C.pcap_open_offline_with_tstamp_precision(name, C.PCAP_TSTAMP_PRECISION_NANO, message)
	if handle == nil {
		return nil, errors.New(C.GoString(message))
	}
	return &capture{handle}, nil
}

func (c *capture) close() {
	C.pcap_close(c.handle)
}

func (c *capture) linkType() string {
	name := C.pcap_datalink_val_to_name(C.pcap_datalink(c.handle))
	if name == nil {
		return "unknown"
	}
	return C.GoString(name)
}

func (c *capture) setFilter(expression string) error {
	text := C.CString(expression)
	defer C.free(unsafe.Pointer(text))
	var program C.struct_bpf_program
	if C.pcap_compile(c.handle, &program, text, 1, C.PCAP_NETMASK_UNKNOWN) != 0 {
		return fmt.Errorf("filter %q: %s", expression, C.GoString(C.pcap_geterr(c.handle)))
	}
	defer C.pcap_freecode(&program)
	if C.pcap_setfilter(c.handle, &program) != 0 {
		return fmt.Errorf("filter %q: %s", expression, C.GoString(C.pcap_geterr(c.handle)))
	}
	return nil
}

// next returns the next packet, or io.EOF. The packet's data is a copy.
func (c *capture) next() (packet, error) {
	var header *C.struct_pcap_pkthdr
	var data *C.u_char
	switch C.pcap_next_ex(c.handle, &header, &data) {
	case 1:
		return packet{
			// With nanosecond precision, tv_usec holds nanoseconds.
			time:   time.Unix(int64(header.ts.tv_sec), int64(header.ts.tv_usec)),
			length: uint32(header.len),
			data:   C.GoBytes(unsafe.Pointer(data), C.int(header.caplen)),
		}, nil
	case C.PCAP_ERROR_BREAK:
		return packet{}, io.EOF
	default:
		return packet{}, errors.New(C.GoString(C.pcap_geterr(c.handle)))
	}
}
