// SPDX-License-Identifier: MIT
// main.go -- runs a whole program and prints its result and what it cost, as tests/programs/README.md has it.
// The heap limit is the environment's GOMEMLIMIT. A Go program that gets no memory from the system is ended by the
// runtime, with "out of memory" and exit status 2; it cannot choose to exit with 4.

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

// A kind of program, and what it takes as SIZE: multiples of step, from least on.
type kind struct {
	run         func(size int, j *job) uint32
	least, step int
}

var kinds = map[string]kind{
	"binary_trees": {binaryTrees, 6, 1},
	"gcbench":      {gcbench, 9, 1}, // with 8 the array would have no a[1000]
	"quad_trees":   {quadTrees, 5, 1},
	"lru":          {lru, 1, 1},
	"fragment":     {fragment, 1, 1},
	"graph":        {graph, 1, 1},
	"queue":        {queue, 32, 32},
	"sessions":     {sessions, 1, 1},
	"phases":       {phases, 1, 1},
	"rewire":       {rewire, 1, 1},
	"pipeline":     {pipeline, 128, 128},
}

type result struct {
	Program     string    `json:"program"`
	Size        int       `json:"size"`
	Threads     int       `json:"threads"`
	Checksum    uint32    `json:"checksum"`
	Seconds     float64   `json:"seconds"`
	GcSeconds   float64   `json:"gc_seconds"`
	Collections int64     `json:"collections"`
	PausesMs    []float64 `json:"pauses_ms"`
}

func refuse(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "programs: "+format+"\n", values...)
	os.Exit(2)
}

func number(text string, least, most int) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		refuse("%s is not a number from %d to %d", text, least, most)
	}
	return value
}

func newJobs(count, threads int) []*job {
	jobs := make([]*job, count)
	for i := range jobs {
		jobs[i] = newJob(i, threads)
	}
	return jobs
}

// together runs the program once for each job, at the same time.
func together(k kind, size int, jobs []*job) uint32 {
	results := make([]uint32, len(jobs))
	var running sync.WaitGroup
	for i := range jobs {
		running.Add(1)
		go func(i int) {
			defer running.Done()
			results[i] = k.run(size, jobs[i])
		}(i)
	}
	running.Wait()
	c := uint32(0)
	for _, r := range results {
		c = mix(c, int(r))
	}
	return c
}

func main() {
	const usage = "arguments are PROGRAM SIZE THREADS [--warm N] [--heap BYTES]"
	if len(os.Args) < 4 {
		refuse(usage)
	}
	name := os.Args[1]
	k, known := kinds[name]
	if !known {
		refuse("no program %s", name)
	}
	size := number(os.Args[2], k.least, 1<<31-1)
	if size%k.step != 0 {
		refuse("the size is a multiple of %d", k.step)
	}
	threads := number(os.Args[3], 1, 2)
	options := flag.NewFlagSet("options", flag.ContinueOnError)
	options.SetOutput(io.Discard)
	warm := options.Uint("warm", 0, "runs before the one that counts")
	options.Uint64("heap", 0, "accepted and not used")
	if options.Parse(os.Args[4:]) != nil || options.NArg() > 0 {
		refuse(usage)
	}
	jobs := threads
	if name == "queue" || name == "pipeline" { // two threads, one job; every other program gives each thread its own
		jobs = 1
	}

	for i := uint(0); i < *warm; i++ {
		together(k, size, newJobs(jobs, threads))
	}
	last := newJobs(jobs, threads)
	log := startGcLog()
	start := time.Now()
	checksum := together(k, size, last)
	seconds := time.Since(start).Seconds()
	log.stop()
	pauses := log.pauses
	if name == "graph" {
		pauses = nil
		for _, j := range last {
			pauses = append(pauses, j.forced...)
		}
	}
	line, err := json.Marshal(result{name, size, threads, checksum, seconds, log.seconds, log.collections, pauses})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
