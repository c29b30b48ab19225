; SPDX-License-Identifier: MIT
; check.lisp -- assertions: (check form expected) and (check-error form message). Loaded before each test.
(define checks 0)
(define failures 0)
(define (judge form got expected)
  (set! checks (+ checks 1))
  (unless (equal? got expected)
    (set! failures (+ failures 1))
    (print "WRONG: " (->string form #t) "\n  gives  " (->string got #t) "\n  wanted " (->string expected #t))))
(defmacro (check form expected)
  `(judge ',form (try (e (string-append "raised: " (->string e))) ,form) ,expected))
(defmacro (check-error form message) `(judge ',form (try (e (->string e)) (list 'no-error ,form)) ,message))
; Of a form that does not even compile:
(defmacro (check-syntax text message) `(check-error (eval (read-from-string ,text)) ,message))
(define (finish)
  (print checks " checks, " failures " wrong")
  (exit (if (= failures 0) 0 1)))
