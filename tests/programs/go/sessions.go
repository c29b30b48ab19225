// SPDX-License-Identifier: MIT
// sessions.go -- a table of sessions that live long and change seldom; each request builds lists and a tree and drops
// them.

package main

type sessionItem struct {
	next       *sessionItem
	key, value int
}

type session struct {
	items    *sessionItem
	id, hits int
}

type sessionNode struct {
	left, right *sessionNode
	key         int
}

type sessionTable struct {
	table []*session
	made  int
	job   *job
}

func (s *sessionTable) list(length int) *sessionItem {
	var list *sessionItem
	for ; length > 0; length-- {
		key := s.job.below(65536)
		list = &sessionItem{list, key, s.job.below(256)}
	}
	return list
}

func (s *sessionTable) items() *sessionItem {
	return s.list(4 + s.job.below(9))
}

func (s *sessionTable) session() *session {
	id := s.made
	s.made++
	return &session{s.items(), id, 0}
}

func (s *sessionTable) change() {
	i := s.job.below(len(s.table))
	if s.job.below(4) == 0 {
		s.table[i] = s.session()
	} else {
		s.table[i].items = s.items()
	}
}

func (s *session) answer() *sessionItem {
	s.hits++
	var answer *sessionItem
	for item := s.items; item != nil; item = item.next {
		answer = &sessionItem{answer, item.key, item.value + s.hits}
	}
	return answer
}

func (item *sessionItem) sum(v uint32) uint32 {
	for ; item != nil; item = item.next {
		v = mix(v, item.key+item.value)
	}
	return v
}

func insertSession(slot **sessionNode, key int) {
	for *slot != nil {
		if key < (*slot).key {
			slot = &(*slot).left
		} else {
			slot = &(*slot).right
		}
	}
	*slot = &sessionNode{key: key}
}

func (t *sessionNode) sum(v uint32) uint32 {
	if t == nil {
		return v
	}
	return t.right.sum(mix(t.left.sum(v), t.key))
}

func (s *sessionTable) serve() uint32 {
	asked := s.list(8 + s.job.below(17))
	var tree *sessionNode
	for item := asked; item != nil; item = item.next {
		insertSession(&tree, item.key)
	}
	session := s.table[s.job.below(len(s.table))]
	return session.answer().sum(tree.sum(uint32(session.id)))
}

func sessions(n int, j *job) uint32 {
	s := &sessionTable{table: make([]*session, n), job: j}
	for i := range s.table {
		s.table[i] = s.session()
	}
	c := uint32(0)
	for times := 8 * n; times > 0; times-- {
		c = mix(c, int(s.serve()))
		if j.below(64) == 0 {
			s.change()
		}
	}
	return c
}
