// SPDX-License-Identifier: MIT
// graph.go -- random references, forced full collections.

package main

type graphNode struct {
	id int
	e  [4]*graphNode
}

func graph(n int, j *job) uint32 {
	all := make([]*graphNode, n)
	for i := range all {
		all[i] = &graphNode{id: i}
	}
	link := func(node *graphNode) {
		for k := range node.e {
			node.e[k] = all[j.below(n)]
		}
	}
	for _, node := range all {
		link(node)
	}
	c := uint32(0)
	id := n
	for round := 0; round < 10; round++ {
		for times := n / 64; times > 0; times-- {
			i := j.below(n)
			x := &graphNode{id: id}
			id++
			link(x)
			all[i] = x
		}
		for times := n / 64; times > 0; times-- {
			i := j.below(n)
			k := j.below(4)
			all[i].e[k] = all[j.below(n)]
		}
		j.collect()
		p := all[j.below(n)]
		for step := 0; step < 100000; step++ {
			p = p.e[j.below(4)]
			c = mix(c, p.id)
		}
	}
	return c
}
