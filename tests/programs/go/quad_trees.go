// SPDX-License-Identifier: MIT
// quad_trees.go -- one big live tree, many short-lived small ones.

package main

type quadNode struct {
	k0, k1, k2, k3 *quadNode
}

func makeQuad(depth int) *quadNode {
	if depth == 0 {
		return &quadNode{}
	}
	k0 := makeQuad(depth - 1)
	k1 := makeQuad(depth - 1)
	k2 := makeQuad(depth - 1)
	k3 := makeQuad(depth - 1)
	return &quadNode{k0, k1, k2, k3}
}

func (t *quadNode) count() int { // a node has all children or none
	if t.k0 == nil {
		return 1
	}
	return 1 + t.k0.count() + t.k1.count() + t.k2.count() + t.k3.count()
}

func quadTrees(n int, _ *job) uint32 {
	c := uint32(0)
	long := makeQuad(n)
	for times := 8 << (2 * (n - 4)); times > 0; times-- {
		c = mix(c, makeQuad(4).count())
	}
	return mix(c, long.count())
}
