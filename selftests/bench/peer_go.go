// SPDX-License-Identifier: GPL-2.0-only

// peer_go.go - goroutines that take functions out of a channel, under the loads of
// pool_load.h, for bench_serve.c, which starts it. Says the figures of one round.
// Threads are Go's own business: it binds none.
//
// usage: peer_go have|hot|asleep|empty
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"sync/atomic"
	"time"
)

// As in pool_load.h.
const (
	hotPings    = 3000
	hotGap      = 3 * time.Microsecond
	asleepPings = 1000
	asleepGap   = 200 * time.Microsecond
	emptyTasks  = 200000
	room        = 1024
)

var work = make(chan func(), room)

func worker() {
	for f := range work {
		f()
	}
}

// Time from a submit to the first instruction of the task: p50 and p99, in ns.
func pings(nr int, gap time.Duration) (float64, float64) {
	took := make([]float64, 0, nr)
	var done, run int64

	begin := time.Now()
	task := func() {
		atomic.StoreInt64(&run, int64(time.Since(begin)))
		atomic.AddInt64(&done, 1)
	}
	for i := 0; i < nr+nr/10; i++ {
		if gap >= 100*time.Microsecond {
			time.Sleep(gap)
		} else {
			for until := time.Now().Add(gap); time.Now().Before(until); {
			}
		}
		sent := int64(time.Since(begin))
		work <- task
		for n := 1; atomic.LoadInt64(&done) == int64(i); n++ {
			if n%1024 == 0 {
				runtime.Gosched()
			}
		}
		if i >= nr/10 {
			took = append(took, float64(atomic.LoadInt64(&run)-sent))
		}
	}
	sort.Float64s(took)
	return took[nr/2], took[nr*99/100]
}

// Nanoseconds a task that does nothing, to the end of the last.
func empty(threads int) float64 {
	type tally struct {
		nr int64
		_  [15]int64
	}
	tallies := make([]tally, threads)
	ran := func() (sum int64) {
		for i := range tallies {
			sum += atomic.LoadInt64(&tallies[i].nr)
		}
		return
	}
	// A worker that counts for itself: a common count would be all there is.
	for i := 0; i < threads; i++ {
		go func(mine *int64) {
			for f := range work {
				f()
				atomic.StoreInt64(mine, *mine+1)
			}
		}(&tallies[i].nr)
	}
	begin := time.Now()
	for i := 0; i < emptyTasks; i++ {
		work <- func() {}
	}
	for ran() < emptyTasks {
		runtime.Gosched()
	}
	return float64(time.Since(begin)) / emptyTasks
}

func main() {
	var first, second float64

	what := ""
	if len(os.Args) == 2 {
		what = os.Args[1]
	}
	switch what {
	case "have":
		return
	case "hot":
		go worker()
		first, second = pings(hotPings, hotGap)
	case "asleep":
		go worker()
		first, second = pings(asleepPings, asleepGap)
	case "empty":
		first = empty(runtime.NumCPU())
	default:
		fmt.Fprintln(os.Stderr, "usage: peer_go have|hot|asleep|empty")
		os.Exit(2)
	}
	fmt.Printf("%.2f %.2f\n", first, second)
}
