// SPDX-License-Identifier: MIT
// job.go -- what a thread of a program has of its own: its random numbers, and the times of the collections it forced.

package main

import (
	"runtime"
	"time"
)

type job struct {
	threads int       // how many the program may use; only the queue and the pipeline ask
	forced  []float64 // milliseconds of each call of collect
	state   uint64
}

func newJob(number, threads int) *job {
	return &job{threads: threads, state: 12345 + 1000*uint64(number)}
}

// below returns the next random number, modulo n.
func (j *job) below(n int) int {
	j.state = j.state * 48271 % 2147483647
	return int(uint32(j.state) % uint32(n))
}

// collect collects everything, now.
func (j *job) collect() {
	start := time.Now()
	runtime.GC()
	j.forced = append(j.forced, milliseconds(time.Since(start)))
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1e6
}

// mix returns the checksum c with v added, modulo 2^32.
func mix(c uint32, v int) uint32 {
	return 31*c + uint32(v)
}
