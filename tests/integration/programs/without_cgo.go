// A static program: it has no dynamic linker that would heed LD_PRELOAD.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("runs with", os.Getenv("LD_PRELOAD"))
}
