; SPDX-License-Identifier: MIT
; deriv.lisp -- symbolic derivatives, after Gabriel's benchmark.
(define (deriv e)
  (cond ((eq? e 'x) 1)
        ((not (pair? e)) 0)
        (else
          (case (car e)
            ((+ -) (cons (car e) (map deriv (cdr e))))
            ((*) (list '* e (cons '+ (map (lambda (f) (list '/ (deriv f) f)) (cdr e)))))
            ((/) (list '- (list '/ (deriv (cadr e)) (caddr e))
                       (list '/ (cadr e) (list '* (caddr e) (caddr e) (deriv (caddr e))))))
            (else (error "no derivative of" (car e)))))))
(define e '(+ (* 3 x x) (* a x x) (* b x) 5))
(do ((i 0 (+ i 1))) ((= i 500)) (deriv e))
(print (deriv e))
(define (size x) (if (pair? x) (+ 1 (size (car x)) (size (cdr x))) 0))
(print (size (deriv (deriv (deriv e)))))
(print (guard (x (#t (->string x))) (deriv '(sin x))))
