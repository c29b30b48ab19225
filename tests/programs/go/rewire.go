// SPDX-License-Identifier: MIT
// rewire.go -- references of old nodes are overwritten all the time, half of them with nodes that soon die.

package main

const rewireWindow = 256 // steps that a new node lives

type rewireNode struct {
	id int
	e  [4]*rewireNode
}

type rewireNet struct {
	all    []*rewireNode
	turned [rewireWindow][4]int // the slots that lead to the new nodes
	c      uint32
	job    *job
}

func (r *rewireNet) any() *rewireNode {
	return r.all[r.job.below(len(r.all))]
}

func (r *rewireNet) turn(slot int, to *rewireNode) {
	edge := &r.all[uint(slot)/4].e[uint(slot)%4]
	r.c = mix(r.c, (*edge).id)
	*edge = to
}

// turnBack leaves no slot that leads to the node of that step.
func (r *rewireNet) turnBack(step int) {
	for _, slot := range r.turned[step%rewireWindow] {
		r.turn(slot, r.any())
	}
}

func (r *rewireNet) turnToNew(step int) {
	node := &rewireNode{id: len(r.all) + step}
	for k := range node.e {
		node.e[k] = r.any()
	}
	turned := &r.turned[step%rewireWindow]
	for j := range turned {
		turned[j] = r.job.below(4 * len(r.all))
		r.turn(turned[j], node)
	}
}

func rewire(n int, j *job) uint32 {
	r := &rewireNet{all: make([]*rewireNode, n), job: j}
	for i := range r.all {
		r.all[i] = &rewireNode{id: i}
	}
	for _, node := range r.all {
		for k := range node.e {
			node.e[k] = r.any()
		}
	}
	for step := 0; step < 4*n+rewireWindow; step++ {
		if step >= rewireWindow {
			r.turnBack(step)
		}
		if step < 4*n {
			r.turnToNew(step)
		}
	}
	return r.c
}
