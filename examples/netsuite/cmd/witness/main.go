// Witness tells which kernel, C library and processor a machine has. It is the suite's one dynamically linked program:
// what it reports about the C library is that of the machine it runs on.
package main

/*
#include <gnu/libc-version.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
*/
import "C"

import (
	"flag"
	"fmt"
	"log"

	"example.org/netsuite/internal/version"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("witness: ")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	fmt.Println(version.Line("witness"))
	if *showVersion {
		return
	}
	var name C.struct_utsname
	if _, err := C.uname(&name); err != nil {
		log.Fatal(err)
	}
	fmt.Println("kernel   ", C.GoString(&name.release[0]))
	fmt.Println("machine  ", C.GoString(&name.machine[0]))
	fmt.Println("libc      glibc", C.GoString(C.gnu_get_libc_version()))
	fmt.Println("page size", C.getauxval(C.AT_PAGESZ))
}
