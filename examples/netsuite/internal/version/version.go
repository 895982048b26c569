// Package version holds what the linker stamps into every program of the suite.
package version

import (
	"fmt"
	"runtime"
)

// Version is set with -ldflags "-X example.org/netsuite/internal/version.Version=...".
var Version = "dev"

// Line is what each program prints for -version.
func Line(program string) string {
	return fmt.Sprintf("%s %s %s/%s", program, Version, runtime.GOOS, runtime.GOARCH)
}
