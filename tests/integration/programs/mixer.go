// Goroutines call a C library that calls back into Go, all the while. One of them keeps its thread, and one only computes,
// so that the run-time preempts it (SIGURG). For each line of standard input the program says what it has seen so far.
package main

/*
#cgo LDFLAGS: -L${SRCDIR} -lmixer -Wl,-rpath,$ORIGIN
#include "mixer.h"
int64_t goEach(uintptr_t argument, int number);
static int64_t sum(int count, uintptr_t argument) { return mixer_sum(count, goEach, argument); }
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"syscall"
)

const callers, count = 6, 20

var calls, callbacks, wrong, wrongHere, panics uint64
var end = make(chan struct{})

//export goEach
func goEach(argument C.uintptr_t, number C.int) C.int64_t {
	atomic.AddUint64(&callbacks, 1)
	return C.int64_t(cgo.Handle(argument).Value().(int64) + int64(number))
}

func hasEnded() bool {
	select {
	case <-end:
		return true
	default:
		return false
	}
}

func call(mine int64) {
	handle := cgo.NewHandle(mine)
	defer handle.Delete()
	if sum := int64(C.sum(count, C.uintptr_t(handle))); sum != count*mine+count*(count-1)/2 {
		atomic.AddUint64(&wrong, 1)
	}
	atomic.AddUint64(&calls, 1)
}

// A fault of the program's own becomes a panic, which is recovered: the run-time's handler of SIGSEGV is its own still.
func fault() {
	defer func() {
		if recover() != nil {
			atomic.AddUint64(&panics, 1)
		}
	}()
	var nowhere *int
	*nowhere = 1
}

var computed int

func compute() {
	for !hasEnded() {
		for index := 0; index < 1<<24; index++ { // no call: only a signal interrupts it
			computed += index ^ computed
		}
	}
}

func main() {
	var group sync.WaitGroup
	start := func(work func()) {
		group.Add(1)
		go func() {
			defer group.Done()
			work()
		}()
	}
	for index := 0; index < callers; index++ {
		mine := int64(index) * 1000
		start(func() {
			for !hasEnded() {
				call(mine)
				fault()
				runtime.Gosched()
			}
		})
	}
	start(func() {
		runtime.LockOSThread() // one thread, one set of thread-local variables
		for here := C.mixer_count_here() + 1; !hasEnded(); here++ {
			call(7)
			if C.mixer_count_here() != here {
				wrongHere++
			}
		}
	})
	start(compute)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	go func() {
		for range caught {
			fmt.Println("caught")
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Printf("version %d, calls %d, wrong %d, panics %d\n", int(C.mixer_version()), atomic.LoadUint64(&calls),
			atomic.LoadUint64(&wrong), atomic.LoadUint64(&panics))
	}
	close(end)
	group.Wait()
	var counts C.struct_mixer_counts
	C.mixer_count(&counts)
	fmt.Printf("missing %d %d, callbacks missing %d, wrong %d %d\n", calls-uint64(counts.calls),
		calls-uint64(counts.locked_calls), count*calls-callbacks, wrong, wrongHere)
}
