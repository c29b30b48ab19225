// SPDX-License-Identifier: MIT
// queue.go -- batches of messages go from a producer to a consumer through a bounded queue; the consumer keeps the last
// ones.

package main

import "bytes"

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
	r := newRing[message](256)
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
