// SPDX-License-Identifier: MIT
// phases.go -- a compiler: the trees of a module die together at its end, the symbols and the payloads stay.

package main

const (
	phasesModules = 24
	phasesDepth   = 8
	phasesNames   = 48 // for each function of a module
)

// The values of op; no tree is an opSymbol.
const (
	opNumber = iota
	opSum
	opProduct
	opLet
	opName
	opSymbol
)

type phasesTree struct {
	left, right *phasesTree
	op, value   int
}

type phasesCode struct {
	left, right *phasesCode
	symbol      *phasesSymbol
	op, value   int
}

type phasesEntry struct {
	next *phasesEntry
	name int
}

type treeFunction struct {
	next *treeFunction
	body *phasesTree
	name int
}

type codeFunction struct {
	next *codeFunction
	body *phasesCode
	name int
}

type phasesSymbol struct {
	chain      *phasesSymbol
	payload    []byte
	name, uses int
}

type compiler struct {
	buckets   []*phasesSymbol
	functions int
	parsed    *treeFunction
	resolved  *codeFunction
	folded    *codeFunction
	scope     *phasesEntry
	job       *job
}

func (l *compiler) symbol(name int) *phasesSymbol {
	bucket := &l.buckets[name*40503&(len(l.buckets)-1)]
	s := *bucket
	for s != nil && s.name != name {
		s = s.chain
	}
	if s == nil {
		s = &phasesSymbol{chain: *bucket, name: name}
		*bucket = s
	}
	return s
}

func (l *compiler) sum(c uint32) uint32 {
	for _, s := range l.buckets {
		for ; s != nil; s = s.chain {
			c = mix(c, s.uses+len(s.payload))
		}
	}
	return c
}

func (l *compiler) parse(depth int) *phasesTree {
	if depth == 0 || l.job.below(8) == 0 {
		if l.job.below(2) == 0 {
			return &phasesTree{op: opNumber, value: l.job.below(256)}
		}
		return &phasesTree{op: opName, value: l.job.below(phasesNames * l.functions)}
	}
	op := opSum + l.job.below(3)
	value := l.job.below(4)
	left := l.parse(depth - 1)
	right := l.parse(depth - 1)
	return &phasesTree{left, right, op, value}
}

func (l *compiler) resolveName(name int) *phasesCode {
	distance := 0
	for entry := l.scope; entry != nil; entry = entry.next {
		if entry.name == name%4 {
			return &phasesCode{op: opName, value: distance}
		}
		distance++
	}
	s := l.symbol(name)
	s.uses++
	return &phasesCode{symbol: s, op: opSymbol, value: s.uses}
}

func (l *compiler) resolve(t *phasesTree) *phasesCode {
	if t.op == opName {
		return l.resolveName(t.value)
	}
	if t.op == opNumber {
		return &phasesCode{op: opNumber, value: t.value}
	}
	left := l.resolve(t.left)
	outer := l.scope
	if t.op == opLet {
		l.scope = &phasesEntry{outer, t.value}
	}
	right := l.resolve(t.right)
	l.scope = outer
	return &phasesCode{left, right, nil, t.op, t.value}
}

func (t *phasesCode) fold() *phasesCode {
	if t.left == nil {
		return &phasesCode{nil, nil, t.symbol, t.op, t.value}
	}
	left := t.left.fold()
	right := t.right.fold()
	if t.op == opLet && right.op == opNumber {
		return right
	}
	if t.op == opLet || left.op != opNumber || right.op != opNumber {
		return &phasesCode{left, right, nil, t.op, t.value}
	}
	value := left.value * right.value
	if t.op == opSum {
		value = left.value + right.value
	}
	return &phasesCode{op: opNumber, value: value % 65536}
}

func (t *phasesCode) count() int {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

// write writes the code to the begin of bytes and returns what is left of them.
func (t *phasesCode) write(bytes []byte) []byte {
	if t.left != nil {
		bytes = t.right.write(t.left.write(bytes))
	}
	bytes[0], bytes[1] = byte(t.op), byte(t.value)
	if t.symbol != nil {
		bytes[2], bytes[3] = byte(t.symbol.name), byte(t.symbol.uses)
	}
	return bytes[4:]
}

func (l *compiler) emit(c uint32, f *codeFunction) uint32 {
	payload := make([]byte, 4*f.body.count())
	f.body.write(payload)
	for _, b := range payload {
		c = mix(c, int(b))
	}
	l.symbol(f.name).payload = payload
	return c
}

func (l *compiler) compile(c uint32, module int) uint32 {
	for i := 0; i < l.functions; i++ {
		l.parsed = &treeFunction{l.parsed, l.parse(phasesDepth), module*l.functions + i}
	}
	for f := l.parsed; f != nil; f = f.next {
		l.resolved = &codeFunction{l.resolved, l.resolve(f.body), f.name}
	}
	for f := l.resolved; f != nil; f = f.next {
		l.folded = &codeFunction{l.folded, f.body.fold(), f.name}
	}
	for f := l.folded; f != nil; f = f.next {
		c = l.emit(c, f)
	}
	l.parsed, l.resolved, l.folded = nil, nil, nil
	return c
}

func phases(n int, j *job) uint32 {
	size := 1
	for size < 16*n {
		size *= 2
	}
	l := &compiler{buckets: make([]*phasesSymbol, size), functions: n, job: j}
	c := uint32(0)
	for module := 0; module < phasesModules; module++ {
		c = l.compile(c, module)
	}
	return l.sum(c)
}
