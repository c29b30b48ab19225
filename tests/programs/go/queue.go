// SPDX-License-Identifier: MIT
// queue.go -- batches of messages go from a producer to a consumer through a bounded queue; the consumer keeps the last
// ones. A channel would be the natural queue here; the program asks for a ring with a lock and condition variables.

package main

import (
	"bytes"
	"sync"
)

const batchLength = 32

type message struct {
	next    *message
	id      int
	payload []byte
}

// newBatch returns the messages from id on, linked in this order.
func newBatch(id int) *message {
	var first *message
	link := &first
	for i := id; i < id+batchLength; i++ {
		m := &message{id: i, payload: bytes.Repeat([]byte{byte(i)}, 64)}
		*link = m
		link = &m.next
	}
	return first
}

type ring struct {
	lock              sync.Mutex
	notEmpty, notFull *sync.Cond
	batches           [256]*message
	head, count       int
}

func newRing() *ring {
	r := &ring{}
	r.notEmpty = sync.NewCond(&r.lock)
	r.notFull = sync.NewCond(&r.lock)
	return r
}

func (r *ring) put(batch *message) {
	r.lock.Lock()
	for r.count == len(r.batches) {
		r.notFull.Wait()
	}
	r.batches[(r.head+r.count)%len(r.batches)] = batch
	r.count++
	r.lock.Unlock()
	r.notEmpty.Signal()
}

func (r *ring) take() *message {
	r.lock.Lock()
	for r.count == 0 {
		r.notEmpty.Wait()
	}
	batch := r.batches[r.head]
	r.batches[r.head] = nil
	r.head = (r.head + 1) % len(r.batches)
	r.count--
	r.lock.Unlock()
	r.notFull.Signal()
	return batch
}

type consumer struct {
	keep []*message
	c    uint32
}

func (s *consumer) consume(batch *message) {
	for m := batch; m != nil; {
		follow := m.next
		m.next = nil
		s.c = mix(s.c, m.id+int(m.payload[0]))
		s.keep[m.id%len(s.keep)] = m
		m = follow
	}
}

func queue(messages int, j *job) uint32 {
	r := newRing()
	s := &consumer{keep: make([]*message, messages/16)}
	if j.threads == 1 {
		for id := 0; id < messages; id += batchLength {
			r.put(newBatch(id))
			s.consume(r.take())
		}
		return s.c
	}
	go func() {
		for id := 0; id < messages; id += batchLength {
			r.put(newBatch(id))
		}
	}()
	for id := 0; id < messages; id += batchLength {
		s.consume(r.take())
	}
	return s.c
}
