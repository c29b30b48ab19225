// SPDX-License-Identifier: MIT
// pipeline.go -- four stages with queues between them: each makes new objects that keep a part of the old ones, and the
// last updates a table that lives long.

package main

import "bytes"

const (
	pipelineBatch = 128
	pipelineLag   = 16
)

type pipelineRecord struct {
	next    *pipelineRecord
	text    []byte
	id, key int
}

type pipelineParsed struct {
	next      *pipelineParsed
	text      []byte
	key, hash int
}

type pipelineWord struct {
	next  *pipelineWord
	value int
}

type pipelineResult struct {
	next       *pipelineResult
	text       []byte
	words      *pipelineWord
	key, value int
}

type pipelineCounter struct {
	text       []byte
	words      *pipelineWord
	count, sum int
}

type pipelineLine struct {
	records *ring[pipelineRecord]
	parses  *ring[pipelineParsed]
	results *ring[pipelineResult]
	table   []*pipelineCounter
	batches int
	c       uint32
	job     *job // the thread that reads asks it for random numbers
}

func (l *pipelineLine) read(id int) *pipelineRecord {
	var batch *pipelineRecord
	for i := id; i < id+pipelineBatch; i++ {
		text := bytes.Repeat([]byte{byte(i)}, 16+l.job.below(49))
		batch = &pipelineRecord{batch, text, i, l.job.below(len(l.table))}
	}
	return batch
}

func (r *pipelineRecord) hash() int {
	hash := uint32(r.id)
	for _, b := range r.text {
		hash = mix(hash, int(b))
	}
	return int(hash)
}

func (r *pipelineRecord) parse() *pipelineParsed {
	var batch *pipelineParsed
	for ; r != nil; r = r.next {
		batch = &pipelineParsed{batch, r.text, r.key, r.hash()}
	}
	return batch
}

func wordsOf(hash int) *pipelineWord {
	var words *pipelineWord
	for k := 0; k <= hash%4; k++ {
		words = &pipelineWord{words, hash >> (8 * k) & 255}
	}
	return words
}

func (p *pipelineParsed) split() *pipelineResult {
	var batch *pipelineResult
	for ; p != nil; p = p.next {
		words := wordsOf(p.hash)
		batch = &pipelineResult{batch, p.text, words, p.key, 0}
		for w := words; w != nil; w = w.next {
			batch.value += w.value
		}
	}
	return batch
}

func (l *pipelineLine) count(r *pipelineResult) {
	for ; r != nil; r = r.next {
		counter := l.table[r.key]
		if counter == nil {
			counter = &pipelineCounter{}
			l.table[r.key] = counter
		}
		if counter.count%4 == 0 {
			counter.text = r.text
			counter.words = r.words
		}
		counter.count++
		counter.sum += r.value
		l.c = mix(l.c, counter.sum+int(counter.text[0]))
	}
}

// runStages does what the second thread does, reading and splitting, what the first does, parsing and counting, or all
// of it.
func (l *pipelineLine) runStages(first, second bool) {
	for batch := 0; batch < l.batches+pipelineLag; batch++ {
		if second && batch < l.batches {
			l.records.put(l.read(batch * pipelineBatch))
		}
		if first && batch < l.batches {
			l.parses.put(l.records.take().parse())
		}
		if second && batch >= pipelineLag {
			l.results.put(l.parses.take().split())
		}
		if first && batch >= pipelineLag {
			l.count(l.results.take())
		}
	}
}

func pipeline(records int, j *job) uint32 {
	l := &pipelineLine{
		records: newRing[pipelineRecord](32),
		parses:  newRing[pipelineParsed](32),
		results: newRing[pipelineResult](32),
		table:   make([]*pipelineCounter, records/8),
		batches: records / pipelineBatch,
		job:     j,
	}
	if j.threads > 1 {
		go l.runStages(false, true)
	}
	l.runStages(true, j.threads == 1)
	for _, counter := range l.table {
		if counter != nil {
			l.c = mix(l.c, counter.count+counter.words.value)
		}
	}
	return l.c
}
