// SPDX-License-Identifier: MIT
// fragment.go -- payloads only: fill, drop three quarters at random, fill with bigger ones.

package main

type fragments struct {
	slots [][]byte
	live  int
	job   *job
}

func (f *fragments) size() int {
	base := 16 << f.job.below(9)
	return base + f.job.below(base)
}

func (f *fragments) fill(i, round, bytes int) {
	payload := make([]byte, bytes)
	payload[0] = byte(i)
	payload[bytes-1] = byte(round)
	f.slots[i] = payload
	f.live += bytes
}

func (f *fragments) dropMost() {
	for i, payload := range f.slots {
		if f.job.below(4) != 0 && payload != nil {
			f.live -= len(payload)
			f.slots[i] = nil
		}
	}
}

func (f *fragments) sum(c uint32) uint32 {
	for _, payload := range f.slots {
		if payload != nil {
			c = mix(c, int(payload[0])+int(payload[len(payload)-1])+len(payload))
		}
	}
	return c
}

func fragment(slots int, j *job) uint32 {
	f := &fragments{slots: make([][]byte, slots), job: j}
	for i := range f.slots {
		f.fill(i, 0, f.size())
	}
	target := f.live
	c := uint32(0)
	for round := 1; round <= 4; round++ {
		f.dropMost()
		scale := 1 + round%2
		for i := 0; i < slots && f.live < target; i++ {
			if f.slots[i] == nil {
				f.fill(i, round, scale*f.size())
			}
		}
		c = f.sum(c)
	}
	return c
}
