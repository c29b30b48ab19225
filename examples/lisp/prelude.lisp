; SPDX-License-Identifier: MIT
; prelude.lisp -- what is shorter in Lisp than in C. It is loaded first and then made immortal.

; ---- definitions and macros ----------------------------------------------------------------------------------------

(%define 'list (%lambda items items))
(%define 'not (%lambda (x) (if x #f #t)))
(%define '%onto (%lambda (a b) (if (null? a) b (%onto (cdr a) (cons (car a) b)))))
(%define 'reverse (%lambda (list) (%onto list '())))
(%define '%append2 (%lambda (a b) (%onto (reverse a) b)))
(%define '%map
  (%lambda (f list done) (if (null? list) (reverse done) (%map f (cdr list) (cons (f (car list)) done)))))

; The definitions that a body begins with are the variables of a procedure around the rest, which sets them in order.
(%define '%definition? (%lambda (form) (if (pair? form) (eq? (car form) 'define) #f)))
(%define '%name-and-value
  (%lambda (head . rest)
    (if (pair? head) (list (car head) (cons 'lambda (cons (cdr head) rest))) (cons head (if (pair? rest) rest '(#f))))))
(%define '%body
  (%lambda (forms names sets)
    (if (if (pair? forms) (%definition? (car forms)) #f)
        ((%lambda (d) (%body (cdr forms) (cons (car d) names) (cons (cons 'set! d) sets)))
         (%apply %name-and-value (cdr (car forms))))
        (if (null? names)
            forms
            (list (cons (cons '%lambda (cons names (%append2 (reverse sets) forms))) (%map not names '())))))))

(%macro 'lambda (%lambda (parameters . body) (cons '%lambda (cons parameters (%body body '() '())))))
(%macro 'defmacro
  (%lambda (head . body) (list '%macro (list 'quote (car head)) (cons 'lambda (cons (cdr head) body)))))
; (define (name . parameters) body ...) and (define name value); not first in a body, a global variable
(defmacro (define head . rest)
  ((lambda (d) (list '%define (list 'quote (car d)) (car (cdr d)))) (%apply %name-and-value (cons head rest))))

(define (gensym) (%symbol "g"))
(define (cadr x) (car (cdr x)))
(define (cddr x) (cdr (cdr x)))
(define (caar x) (car (car x)))
(define (cdar x) (cdr (car x)))
(define (caddr x) (car (cddr x)))

; Quasiquote, to any depth of lists and with one level of quoting.
(define (%quasi x)
  (if (pair? x)
      (if (eq? (car x) 'unquote)
          (cadr x)
          (if (if (pair? (car x)) (eq? (caar x) 'unquote-splicing) #f)
              (list '%append2 (cadr (car x)) (%quasi (cdr x)))
              (list 'cons (%quasi (car x)) (%quasi (cdr x)))))
      (if (eq? (type-of x) 'vector)
          (list 'list->vector (%quasi (vector->list x)))
          (list 'quote x))))
(defmacro (quasiquote x) (%quasi x))

; ---- lists ---------------------------------------------------------------------------------------------------------

(define (map1 f list) (%map f list '()))

; (let ((name value) ...) body ...) and (let name ((name value) ...) body ...)
(defmacro (let first . rest)
  (if (eq? (type-of first) 'symbol)
      `((letrec ((,first (lambda ,(map1 car (car rest)) ,@(cdr rest)))) ,first) ,@(map1 cadr (car rest)))
      `((lambda ,(map1 car first) ,@rest) ,@(map1 cadr first))))
(defmacro (letrec bindings . body)
  `((lambda () ,@(map1 (lambda (b) (cons 'define b)) bindings) ((lambda () ,@body)))))

(define (any f list) (if (null? list) #f (if (f (car list)) #t (any f (cdr list)))))
(define (map f list . more)
  (if (null? more)
      (map1 f list)
      (let loop ((lists (cons list more)) (done '()))
        (if (any null? lists)
            (reverse done)
            (loop (map1 cdr lists) (cons (%apply f (map1 car lists)) done))))))

; ---- control -------------------------------------------------------------------------------------------------------

(defmacro (let* bindings . body)
  (if (null? bindings) `(let () ,@body) `(let (,(car bindings)) (let* ,(cdr bindings) ,@body))))
(defmacro (and . forms)
  (if (null? forms) #t (if (null? (cdr forms)) (car forms) `(if ,(car forms) (and ,@(cdr forms)) #f))))
(defmacro (or . forms)
  (if (null? forms)
      #f
      (if (null? (cdr forms))
          (car forms)
          (let ((g (gensym))) `(let ((,g ,(car forms))) (if ,g ,g (or ,@(cdr forms))))))))
(defmacro (when test . body) `(if ,test (begin ,@body)))
(defmacro (unless test . body) `(if ,test #f (begin ,@body)))
(defmacro (cond . clauses)
  (if (null? clauses)
      '(begin)
      (let ((clause (car clauses)) (rest (cdr clauses)))
        (if (eq? (car clause) 'else)
            `(begin ,@(cdr clause))
            (if (null? (cdr clause))
                `(or ,(car clause) (cond ,@rest))
                (if (eq? (cadr clause) '=>)
                    (let ((g (gensym))) `(let ((,g ,(car clause))) (if ,g (,(caddr clause) ,g) (cond ,@rest))))
                    `(if ,(car clause) (begin ,@(cdr clause)) (cond ,@rest))))))))
(defmacro (case key . clauses)
  (let ((g (gensym)))
    `(let ((,g ,key))
       (cond ,@(map (lambda (clause) (if (eq? (car clause) 'else) clause `((memv ,g ',(car clause)) ,@(cdr clause))))
                    clauses)))))

; (do ((name first next) ...) (end? result ...) body ...)
(defmacro (do variables end . body)
  (let ((loop (gensym)))
    `(let ,loop ,(map (lambda (v) (list (car v) (cadr v))) variables)
       (if ,(car end)
           (begin ,@(cdr end))
           (begin ,@body (,loop ,@(map (lambda (v) (if (null? (cddr v)) (car v) (caddr v))) variables)))))))

; ---- errors --------------------------------------------------------------------------------------------------------

(define (error? x) (eq? (type-of x) 'condition))
(define (error message . irritants) (raise (%make-error message irritants)))

; (try (name handler ...) form ...): the value of the forms, or the handler's for what they raise.
(defmacro (try handler . forms) `(%try (lambda (,(car handler)) ,@(cdr handler)) (lambda () ,@forms)))

; (guard (name clause ...) form ...): clauses as in cond; what none of them wants is raised again.
(defmacro (guard spec . forms)
  (let ((name (car spec)))
    `(%try (lambda (,name) (cond ,@(cdr spec) (else (raise ,name)))) (lambda () ,@forms))))

(defmacro (unwind-protect form . cleanup)
  (let ((g (gensym)) (e (gensym)))
    `(let ((,g (%try (lambda (,e) ,@cleanup (raise ,e)) (lambda () ,form)))) ,@cleanup ,g)))

; (catch tag form ...) is the value that a (throw tag value) in it throws, or that of the forms.
(define (throw tag value) (raise (vector '%throw tag value)))
(define (%thrown? x tag)
  (and (eq? (type-of x) 'vector) (= (vector-length x) 3) (eq? (vector-ref x 0) '%throw) (eq? (vector-ref x 1) tag)))
(defmacro (catch tag . forms)
  (let ((g (gensym)) (e (gensym)))
    `(let ((,g ,tag)) (%try (lambda (,e) (if (%thrown? ,e ,g) (vector-ref ,e 2) (raise ,e))) (lambda () ,@forms)))))

; ---- more of the usual ---------------------------------------------------------------------------------------------

(define (apply f first . rest)
  (%apply f (let loop ((first first) (rest rest)) (if (null? rest) first (cons first (loop (car rest) (cdr rest)))))))
(define (symbol? x) (eq? (type-of x) 'symbol))
(define (string? x) (eq? (type-of x) 'string))
(define (vector? x) (eq? (type-of x) 'vector))
(define (char? x) (eq? (type-of x) 'character))
(define (number? x) (eq? (type-of x) 'fixnum))
(define (boolean? x) (or (eq? x #t) (eq? x #f)))
(define (table? x) (eq? (type-of x) 'table))
(define (procedure? x) (if (memv (type-of x) '(closure primitive)) #t #f))
(define (eof? x) (eq? x (read-from-string "")))
(define eqv? eq?)
(define (display x) (%print (if (string? x) x (->string x))))
(define (write x) (%print (->string x #t)))
(define (newline) (display "\n"))
(define (print . items) (for-each display items) (newline))

(define (for-each f list) (unless (null? list) (f (car list)) (for-each f (cdr list))))
(define (append . lists)
  (if (null? lists) '() (if (null? (cdr lists)) (car lists) (%append2 (car lists) (apply append (cdr lists))))))
(define (memv x list) (if (null? list) #f (if (eq? x (car list)) list (memv x (cdr list)))))
(define memq memv)
(define (member x list) (if (null? list) #f (if (equal? x (car list)) list (member x (cdr list)))))
(define (assv x list) (if (null? list) #f (if (eq? x (caar list)) (car list) (assv x (cdr list)))))
(define assq assv)
(define (assoc x list) (if (null? list) #f (if (equal? x (caar list)) (car list) (assoc x (cdr list)))))
(define (list-tail list n) (if (= n 0) list (list-tail (cdr list) (- n 1))))
(define (list-ref list n) (car (list-tail list n)))
(define (filter keep? list)
  (let loop ((list list) (done '()))
    (if (null? list) (reverse done) (loop (cdr list) (if (keep? (car list)) (cons (car list) done) done)))))
(define (fold f value list) (if (null? list) value (fold f (f (car list) value) (cdr list))))
(define (iota n) (let loop ((i (- n 1)) (done '())) (if (< i 0) done (loop (- i 1) (cons i done)))))
(define (sort list less?)
  (define (merge a b done)
    (cond ((null? a) (%append2 (reverse done) b))
          ((null? b) (%append2 (reverse done) a))
          ((less? (car b) (car a)) (merge a (cdr b) (cons (car b) done)))
          (else (merge (cdr a) b (cons (car a) done)))))
  (define (halve list a b) (if (null? list) (cons a b) (halve (cdr list) (cons (car list) b) a)))
  (if (or (null? list) (null? (cdr list)))
      list
      (let ((halves (halve (reverse list) '() '())))
        (merge (sort (car halves) less?) (sort (cdr halves) less?) '()))))

(define (<= a b) (not (> a b)))
(define (>= a b) (not (< a b)))
(define (zero? n) (= n 0))
(define (abs n) (if (< n 0) (- n) n))
(define (min a b) (if (< b a) b a))
(define (max a b) (if (> b a) b a))
(define (modulo a b)
  (let ((r (remainder a b))) (if (or (= r 0) (eq? (< r 0) (< b 0))) r (+ r b))))
(define (even? n) (= 0 (remainder n 2)))
(define (odd? n) (not (even? n)))

(define (vector . items) (list->vector items))
(define (vector->list v)
  (let loop ((i (- (vector-length v) 1)) (done '()))
    (if (< i 0) done (loop (- i 1) (cons (vector-ref v i) done)))))
(define (vector-fill! v x) (do ((i 0 (+ i 1))) ((= i (vector-length v)) v) (vector-set! v i x)))

(define (string->list s)
  (let loop ((i (- (string-length s) 1)) (done '()))
    (if (< i 0) done (loop (- i 1) (cons (string-ref s i) done)))))
(define (list->string list)
  (let ((s (make-string (length list))))
    (let loop ((i 0) (list list))
      (if (null? list) s (begin (string-set! s i (car list)) (loop (+ i 1) (cdr list)))))))
(define string=? equal?)
(define (string<? a b)
  (let loop ((i 0))
    (cond ((= i (string-length b)) #f)
          ((= i (string-length a)) #t)
          ((eq? (string-ref a i) (string-ref b i)) (loop (+ i 1)))
          (else (< (char->integer (string-ref a i)) (char->integer (string-ref b i)))))))
(define number->string ->string)
(define symbol->string ->string)
(define (string->number s) (let ((x (try (e #f) (read-from-string s)))) (and (number? x) x)))

(define (make-eq-table) (%make-table #f #f))
(define (make-equal-table) (%make-table #t #f))
(define (make-weak-table) (%make-table #f #t))
(define (table-count table) (length (table->list table)))
(define (table-keys table) (map1 car (table->list table)))
(define (table-update! table key f default) (table-set! table key (f (table-ref table key default))))

; What is to be done for an object is in a weak table, so it may refer to the object without keeping it alive. The entry
; is still there when it runs, because the collector's queue keeps the object, its key, alive. The newest runs first.
(define %finalizers (make-weak-table))
(define (%finalizer object)
  (let ((all (table-ref %finalizers object)))
    (if (null? (cdr all)) (table-delete! %finalizers object) (table-set! %finalizers object (cdr all)))
    ((car all) object)))
(define (finalize object procedure)
  (%finalize object %finalizer)
  (table-set! %finalizers object (cons procedure (table-ref %finalizers object '()))))

(define (gc-stats)
  (map cons '(collections bytes-in-use bytes-moved pause-max-ns) (%gc-stats)))
