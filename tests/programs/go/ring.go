// SPDX-License-Identifier: MIT
// ring.go -- a bounded queue from one thread to another. A channel would be the natural one in Go; the programs ask for
// a ring with a lock and condition variables.

package main

import "sync"

type ring[T any] struct {
	lock              sync.Mutex
	notEmpty, notFull *sync.Cond
	slots             []*T
	head, count       int
}

func newRing[T any](length int) *ring[T] {
	r := &ring[T]{slots: make([]*T, length)}
	r.notEmpty = sync.NewCond(&r.lock)
	r.notFull = sync.NewCond(&r.lock)
	return r
}

func (r *ring[T]) put(batch *T) {
	r.lock.Lock()
	for r.count == len(r.slots) {
		r.notFull.Wait()
	}
	r.slots[(r.head+r.count)%len(r.slots)] = batch
	r.count++
	r.lock.Unlock()
	r.notEmpty.Signal()
}

func (r *ring[T]) take() *T {
	r.lock.Lock()
	for r.count == 0 {
		r.notEmpty.Wait()
	}
	batch := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	r.lock.Unlock()
	r.notFull.Signal()
	return batch
}
