// SPDX-License-Identifier: MIT
// gcbench.go -- GCBench of Ellis, Kovac and Boehm: trees built from the bottom and from the top, a long-lived tree, a
// large array without references.

package main

type benchNode struct {
	left, right *benchNode
	i, j        int
}

// makeBench builds a tree from the bottom.
func makeBench(depth int) *benchNode {
	if depth == 0 {
		return &benchNode{}
	}
	left := makeBench(depth - 1)
	right := makeBench(depth - 1)
	return &benchNode{left, right, depth, 0}
}

// topBench builds a tree from the top.
func topBench(depth int) *benchNode {
	t := &benchNode{i: depth}
	t.populate(depth)
	return t
}

func (t *benchNode) populate(depth int) {
	if depth > 0 {
		t.left = &benchNode{i: depth - 1}
		t.right = &benchNode{i: depth - 1}
		t.left.populate(depth - 1)
		t.right.populate(depth - 1)
	}
}

func (t *benchNode) count() int { // a node has both children or none
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

// lastOf builds that many trees and returns the last. The compiler knows that the one before is dead when the next is
// built.
func lastOf(times int, build func(int) *benchNode, depth int) *benchNode {
	var t *benchNode
	for k := 0; k < times; k++ {
		t = build(depth)
	}
	return t
}

func gcbench(n int, _ *job) uint32 {
	c := mix(0, makeBench(n).count())
	long := topBench(n - 2)
	array := make([]int, 1<<(n+1))
	for k := 0; k < 1<<n; k++ {
		array[k] = k * k % 2147483647
	}
	for depth := 4; depth <= n-2; depth += 2 {
		times := 2 * (1<<(n+1) - 1) / (1<<(depth+1) - 1)
		c = mix(c, lastOf(times, topBench, depth).count())
		c = mix(c, lastOf(times, makeBench, depth).count())
	}
	c = mix(c, long.count())
	c = mix(c, long.i)
	return mix(c, array[1000])
}
