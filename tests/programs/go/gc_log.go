// SPDX-License-Identifier: MIT
// gc_log.go -- what the collector did between start and stop.
//
// Go marks and sweeps beside the program. Only its two stops of the world in each collection are counted here, as one
// pause; concurrent marking, and what goroutines are made to help with it, is in none of the figures.
// The runtime remembers the last 256 pauses. A goroutine reads them often enough to miss none.

package main

import (
	"runtime/debug"
	"time"
)

const gcLogPeriod = 50 * time.Millisecond

type gcLog struct {
	stats       debug.GCStats
	seconds     float64
	collections int64
	pauses      []float64 // milliseconds
	quit, done  chan struct{}
}

func startGcLog() *gcLog {
	l := &gcLog{pauses: []float64{}, quit: make(chan struct{}), done: make(chan struct{})}
	debug.ReadGCStats(&l.stats)
	l.seconds = -l.stats.PauseTotal.Seconds()
	l.collections = -l.stats.NumGC
	go l.follow()
	return l
}

func (l *gcLog) follow() {
	defer close(l.done)
	ticker := time.NewTicker(gcLogPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.read()
		case <-l.quit:
			return
		}
	}
}

// read takes over the pauses since the last time.
func (l *gcLog) read() {
	before := l.stats.NumGC
	debug.ReadGCStats(&l.stats)
	fresh := int(l.stats.NumGC - before)
	if fresh > len(l.stats.Pause) {
		fresh = len(l.stats.Pause)
	}
	for i := fresh - 1; i >= 0; i-- { // the newest comes first
		l.pauses = append(l.pauses, milliseconds(l.stats.Pause[i]))
	}
}

func (l *gcLog) stop() {
	close(l.quit)
	<-l.done
	l.read()
	l.seconds += l.stats.PauseTotal.Seconds()
	l.collections += l.stats.NumGC
}
