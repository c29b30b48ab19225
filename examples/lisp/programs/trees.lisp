; SPDX-License-Identifier: MIT
; trees.lisp -- binary trees of depth 4 to 14 beside one that lives: all garbage, and much of it.
(define (make depth) (if (= depth 0) (cons '() '()) (cons (make (- depth 1)) (make (- depth 1)))))
(define (check tree) (if (null? (car tree)) 1 (+ 1 (check (car tree)) (check (cdr tree)))))
(define long-lived (make 14))
(do ((depth 4 (+ depth 2))) ((> depth 14))
  (let ((trees (quotient 16384 (check (make depth)))))
    (print trees " trees of depth " depth ", check "
           (let loop ((i 0) (sum 0)) (if (= i trees) sum (loop (+ i 1) (+ sum (check (make depth)))))))))
(print "long lived, check " (check long-lived))
