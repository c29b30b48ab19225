; SPDX-License-Identifier: MIT
; queens.lisp -- all solutions, as lists.
(define (safe? row distance placed)
  (or (null? placed)
      (and (not (= (car placed) row)) (not (= (abs (- (car placed) row)) distance))
           (safe? row (+ distance 1) (cdr placed)))))
(define (queens size)
  (let place ((column 0) (boards '(())))
    (if (= column size)
        boards
        (place (+ column 1)
               (apply append
                      (map (lambda (board)
                             (map (lambda (row) (cons row board)) (filter (lambda (row) (safe? row 1 board)) (iota size))))
                           boards))))))
(print (map (lambda (n) (length (queens n))) '(1 2 3 4 5 6 7)))
(define eight (queens 8))
(print (length eight) " " (car eight))
