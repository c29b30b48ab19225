; SPDX-License-Identifier: MIT
; words.lisp -- count words in an equal table, and sort them.
(define text "the quick brown fox jumps over the lazy dog the dog sleeps and the fox runs over the hill and over the dog")
(define (split s)
  (define end (string-length s))
  (let loop ((i 0) (start 0) (words '()))
    (cond ((= i end) (reverse (cons (substring s start i) words)))
          ((eq? (string-ref s i) #\space) (loop (+ i 1) (+ i 1) (cons (substring s start i) words)))
          (else (loop (+ i 1) start words)))))
(define counts (make-equal-table))
(do ((i 0 (+ i 1))) ((= i 40)) (for-each (lambda (w) (table-update! counts w (lambda (n) (+ n 1)) 0)) (split text)))
(for-each (lambda (entry) (print (car entry) " " (cdr entry)))
          (sort (table->list counts)
                (lambda (a b) (or (> (cdr a) (cdr b)) (and (= (cdr a) (cdr b)) (string<? (car a) (car b)))))))
