; SPDX-License-Identifier: MIT
; strings.lisp -- strings that grow, shrink and are compared: medium and large objects without references.
(define (repeat s n) (let loop ((n n) (done "")) (if (= n 0) done (loop (- n 1) (string-append done s)))))
(define (hash s)
  (let loop ((i 0) (h 7)) (if (= i (string-length s)) h (loop (+ i 1) (remainder (+ (* h 31) (char->integer (string-ref s i))) 1000003)))))
(define long (repeat "varve " 400))
(print (string-length long) " " (hash long))
(define lines (map (lambda (i) (string-append "line " (number->string i) "\n")) (iota 200)))
(define text (fold (lambda (line text) (string-append text line)) "" lines))
(print (string-length text) " " (hash text))
(define big (let loop ((s "0123456789abcdef") (n 14)) (if (= n 0) s (loop (string-append s s) (- n 1)))))
(print (string-length big) " " (equal? big (string-append (substring big 0 100000) (substring big 100000))))
(print (list->string (reverse (string->list "stressed desserts"))))
