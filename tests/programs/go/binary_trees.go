// SPDX-License-Identifier: MIT
// binary_trees.go -- short-lived trees beside one that lives.

package main

type binaryNode struct {
	left, right *binaryNode
}

func makeBinary(depth int) *binaryNode {
	if depth == 0 {
		return &binaryNode{}
	}
	left := makeBinary(depth - 1)
	right := makeBinary(depth - 1)
	return &binaryNode{left, right}
}

func (t *binaryNode) count() int { // a node has both children or none
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func binaryTrees(n int, _ *job) uint32 {
	c := mix(0, makeBinary(n+1).count())
	long := makeBinary(n)
	for depth := 4; depth <= n; depth += 2 {
		sum := 0
		for times := 1 << (n - depth + 4); times > 0; times-- {
			sum += makeBinary(depth).count()
		}
		c = mix(c, sum)
	}
	return mix(c, long.count())
}
