// SPDX-License-Identifier: MIT
// lru.go -- a cache: a hash table with chains, and a list from the entry used last to the one used least recently.
// Everything dies old, in no order.

package main

import "bytes"

type lruEntry struct {
	previous, next, chain *lruEntry
	payload               []byte
	key                   int
}

type lruCache struct {
	buckets           []*lruEntry
	capacity, entries int
	first, last       *lruEntry
}

func newLruCache(capacity int) *lruCache {
	size := 1
	for size < capacity {
		size *= 2
	}
	return &lruCache{buckets: make([]*lruEntry, size), capacity: capacity}
}

// bucket returns the place of the head of the key's chain.
func (l *lruCache) bucket(key int) **lruEntry {
	return &l.buckets[key*40503&(len(l.buckets)-1)]
}

func (l *lruCache) find(key int) *lruEntry {
	e := *l.bucket(key)
	for e != nil && e.key != key {
		e = e.chain
	}
	return e
}

func (l *lruCache) add(key, length int) {
	bucket := l.bucket(key)
	e := &lruEntry{payload: bytes.Repeat([]byte{byte(key)}, length), key: key, chain: *bucket}
	*bucket = e
	l.linkFirst(e)
	l.entries++
	if l.entries > l.capacity {
		l.removeLast()
	}
}

func (l *lruCache) removeLast() {
	l.entries--
	victim := l.last
	l.unlink(victim)
	link := l.bucket(victim.key)
	for *link != victim {
		link = &(*link).chain
	}
	*link = victim.chain
}

func (l *lruCache) linkFirst(e *lruEntry) {
	e.previous = nil
	e.next = l.first
	if l.first == nil {
		l.last = e
	} else {
		l.first.previous = e
	}
	l.first = e
}

func (l *lruCache) unlink(e *lruEntry) {
	if e.previous == nil {
		l.first = e.next
	} else {
		e.previous.next = e.next
	}
	if e.next == nil {
		l.last = e.previous
	} else {
		e.next.previous = e.previous
	}
}

func lru(capacity int, j *job) uint32 {
	cache := newLruCache(capacity)
	c := uint32(0)
	for times := 30 * capacity; times > 0; times-- {
		key := j.below(2 * capacity)
		if e := cache.find(key); e != nil {
			cache.unlink(e)
			cache.linkFirst(e)
			c = mix(c, int(e.payload[len(e.payload)-1]))
		} else {
			length := 16 + j.below(497)
			cache.add(key, length)
			c = mix(c, 256+length)
		}
	}
	return c
}
