; SPDX-License-Identifier: MIT
; Sources of the demonstration nets. make.py compiles them and explains the language.

; ---- pure programs ----------------------------------------------------------------------------------------------

(program sum_rec "sum of 0 .. 2^n - 1 by a tree of calls, 24 bits"
  (def main () (@sum (SUM_REC) 0))
  (def sum (n x)
    (if n (x) x
      (p) (op + (@sum p (op + (op * x 2) 1)) (@sum p (op + (op * x 2) 0))))))

(program sum_tree "build a tree of 2^n leaves, count them"
  (def main () (@sum (SUM_TREE) @tree))
  (def tree () (@gen (SUM_TREE) 0))
  (def gen (n x)
    (if n (x) x
      (p) (pair (@gen p (op + (op * x 2) 1)) (@gen p (op * x 2)))))
  (def sum (n t)
    (if n (t) (let gone t 1)
      (p) (split a b t (op + (@sum p a) (@sum p b))))))

(program stress "many loops that count down, side by side"
  (def main () (@fun (STRESS)))
  (def fun (n) (if n () (@loop (STRESS_LOOP)) (p) (op + (@fun p) (@fun p))))
  (def loop (n) (if n () 0 (p) (@loop p))))

(program tuples "rotate a tuple of eight, again and again"
  (def main () (@app (TUPLES) @rot (@tup8 1 2 3 4 5 6 7 8)))
  (def tup8 (a b c d e f g h) (lam (k) (k a b c d e f g h)))
  (def rot (t) (t (lam (a b c d e f g h) (@tup8 b c d e f g h a))))
  (def app (n f x) (if n (f x) (let gone f x) (p) (@app p f (f x)))))

(program bitonic "bitonic sort of 2^n numbers, then their sum"
  (def main () (@sum (BITONIC) @sorted))
  (def sorted () (@sort (BITONIC) 0 @tree))
  (def tree () (@gen (BITONIC) 0))
  (def gen (n x)
    (if n (x) x
      (p) (pair (@gen p (op + (op * x 2) 1)) (@gen p (op * x 2)))))
  (def sum (n t)
    (if n (t) t
      (p) (split a b t (op + (@sum p a) (@sum p b)))))
  (def swap (s a b) (if s (b a) (pair a b) (p) (pair b a)))
  (def warp (d s a b)
    (if d (b a s)
      (@swap (op ^ s (op > a b)) a b)
      (p)
      (split a1 a2 a (split b1 b2 b
        (split x1 y1 (@warp p s a1 b1) (split x2 y2 (@warp p s a2 b2)
          (pair (pair x1 x2) (pair y1 y2))))))))
  (def flow (d s t)
    (if d (t s) (let gone s t)
      (p) (split a b t (@down (op + p 1) s (@warp p s a b)))))
  (def down (d s t)
    (if d (t s) (let gone s t)
      (p) (split a b t (pair (@flow p s a) (@flow p s b)))))
  (def sort (d s t)
    (if d (t s) (let gone s t)
      (p) (split a b t (@flow (op + p 1) s (pair (@sort p 0 a) (@sort p 1 b)))))))

; A set of numbers is a trie of bits, most significant first: (0 *) empty, (1 n) n copies, (2 (zero one)) a branch.
; Sorting is building the trie of each half, uniting the two, and reading it in order.
(program radix "radix sort of 2^n numbers through tries of bits, then a checksum of their order"
  (def main () (@check (RADIX) (@sort (RADIX) 1)))
  (def key (i) (op & (op ^ (op * i 2654) (op >> (op * i 40503) 7)) 4095))
  (def sort (d i)
    (if d (i) (@trie 12 (@key i) (pair 1 1))
      (p) (@unite (@sort p (op * i 2)) (@sort p (op + (op * i 2) 1)))))
  (def trie (d k leaf)
    (if d (k leaf) (let gone k leaf)
      (p) (@trie2 p k leaf)))
  (def trie2 (p k leaf) (@trie p (op >> k 1) (@branch (op & k 1) leaf)))
  (def branch (bit leaf)
    (if bit (leaf) (pair 2 (pair leaf (pair 0 *))) (p) (pair 2 (pair (pair 0 *) leaf))))
  (def unite (s t)
    (split a x s (split b y t (@unite2 a b x y))))
  (def unite2 (a b x y)
    (if a (b x y) (let gone x (pair b y))
      (p) (@unite3 b p x y)))
  (def unite3 (b p x y)
    (if b (p x y) (let gone y (pair (op + p 1) x))
      (q) (let gone q (@unite4 p x y))))
  (def unite4 (p x y)
    (if p (x y) (pair 1 (op + x y))
      (q) (let gone q (split a b x (split c d y (pair 2 (pair (@unite a c) (@unite b d))))))))
  (def check (n t) (let gone n (split sum index (@walk t 0 0 0) (let gone index sum))))
  ; walk trie prefix index sum -> (sum index): sum of key * position, 24 bits
  (def walk (t k i sum)
    (split tag x t (@walk2 tag x k i sum)))
  (def walk2 (tag x k i sum)
    (if tag (x k i sum) (let g1 x (let g2 k (pair sum i)))
      (p) (@walk3 p x k i sum)))
  (def walk3 (p x k i sum)
    (if p (x k i sum) (@emit x k i sum)
      (q) (let gone q (@walk4 x k i sum))))
  (def walk4 (x k i sum)
    (split a b x
      (split s1 i1 (@walk a (op * k 2) i sum)
        (@walk b (op + (op * k 2) 1) i1 s1))))
  (def emit (n k i sum)
    (if n (k i sum) (let gone k (pair sum i))
      (p) (@emit p k (op + i 1) (op + sum (op * k (op + i 1)))))))

(program tree_invert "turn a tree of 2^n leaves around twice, then a weighted sum of its leaves"
  (def main () (@weigh (INVERT) 1 (@invert (INVERT) (@gen (INVERT) 0))))
  (def gen (n x)
    (if n (x) x
      (p) (pair (@gen p (op * x 2)) (@gen p (op + (op * x 2) 1)))))
  (def invert (n t)
    (if n (t) t
      (p) (split a b t (pair (@invert p b) (@invert p a)))))
  (def weigh (n w t)
    (if n (w t) (op * w t)
      (p) (split a b t (op + (@weigh p (op * w 3) a) (@weigh p (op + (op * w 5) 1) b))))))

; ---- programs whose values live in the heap -----------------------------------------------------------------------

(program factorial "n! for n = 3000: a switch on an exact integer, one product after the other, beside a tree of products"
  (def main () (@agree (@down (exactly FACTORIAL) #1) (@range 1 (FACTORIAL))))
  (def agree (a b) (if (%eq a b) (a) "the two products differ" (p) (let gone p a)))
  (def down (n product)
    (if n (product) product
      (p) (@down p (%mul product (%add p #1)))))
  ; the product of `count` numbers from `low`
  (def range (low count)
    (if count (low) #1
      (p) (@range2 p low)))
  (def range2 (p low)
    (if p (low) (%exact low)
      (q) (@halves (op / (op + q 2) 2) (op + q 2) low)))
  (def halves (half count low)
    (%mul (@range low half) (@range (op + low half) (op - count half)))))

(program fibonacci "Fibonacci number 20000, by additions"
  (def main () (@fib (FIBONACCI) #0 #1))
  (def fib (n a b)
    (if n (a b) (let gone b a)
      (p) (@fib p b (%add a b)))))

(program pi "1000 digits of pi after the 3, by Machin's formula in exact integers"
  (def main () (%div (@machin (%power #10 (PI_DIGITS))) (%power #10 (PI_GUARD))))
  (def machin (one)
    (%mul #4 (%sub (%mul #4 (@arctan (PI_5) one #5)) (@arctan (PI_239) one #239))))
  (def arctan (terms one x) (@series terms (%div one x) #1 (%mul x x)))
  (def series (terms t n square)
    (if terms (t n square) (let g1 t (let g2 n (let g3 square #0)))
      (p) (%sub (%div t n) (@series p (%div t square) (%add n #2) square)))))

; A list is (0 *) or (1 (head tail)).
(program lib_list "lists of strings"
  (def merge (xs ys) (split tag rest xs (@merge2 tag rest ys)))
  (def merge2 (tag rest ys)
    (if tag (rest ys) (let gone rest ys)
      (p) (let gone p (split x xs rest (split t r ys (@merge3 t r x xs))))))
  (def merge3 (tag rest x xs)
    (if tag (rest x xs) (let gone rest (pair 1 (pair x xs)))
      (p) (let gone p (split y ys rest (@merge4 (%scmp x y) x xs y ys)))))
  (def merge4 (order x xs y ys)
    (if order (x xs y ys) (pair 1 (pair x (@merge xs (pair 1 (pair y ys)))))
      (p) (let gone p (pair 1 (pair y (@merge (pair 1 (pair x xs)) ys))))))
  (def join (list text) (split tag rest list (@join2 tag rest text)))
  (def join2 (tag rest text)
    (if tag (rest text) (let gone rest text)
      (p) (let gone p (split x xs rest (@join xs (%cat text (%cat x "\n"))))))))

(program sort_strings "merge sort of 4096 boxed strings of digits"
  (include lib_list)
  (def main () (@join (@sort (SORT) 1) ""))
  (def sort (d i)
    (if d (i) (pair 1 (pair (@key (%exact i)) (pair 0 *)))
      (p) (@merge (@sort p (op * i 2)) (@sort p (op + (op * i 2) 1)))))
  (def key (i) (%show (%rem (%mul (%mul i i) #2654435761) #4294967291))))

; A tree is (0 *) or (1 (word (count (left right)))).
(program words "how often each word occurs in the GNU GPL, in alphabetical order"
  (def main () (@count (%words (@text (WORDS)))))
  (def text (small)
    (if small () (%load "/usr/share/common-licenses/GPL-3")
      (p) (let gone p "the cat saw the dog and The Dog saw a cat; the end.")))
  (def count (all) (@print (@insert_all (%size all) all (pair 0 *)) ""))
  (def insert_all (n all tree)
    (if n (all tree) (let gone all tree)
      (p) (@insert_all p all (@insert tree (%get all p)))))
  (def insert (tree word) (split tag rest tree (@insert2 tag rest word)))
  (def insert2 (tag rest word)
    (if tag (rest word) (let gone rest (pair 1 (pair word (pair 1 (pair (pair 0 *) (pair 0 *))))))
      (p) (let gone p (split key r rest (@insert3 (%scmp word key) key word r)))))
  (def insert3 (order key word r)
    (if order (key word r) (@left key word r)
      (p) (@insert4 p key word r)))
  (def insert4 (order key word r)
    (if order (key word r) (@same key word r)
      (p) (let gone p (@right key word r))))
  (def same (key word r) (let gone word (split n s r (pair 1 (pair key (pair (op + n 1) s))))))
  (def left (key word r)
    (split n s r (split a b s (pair 1 (pair key (pair n (pair (@insert a word) b)))))))
  (def right (key word r)
    (split n s r (split a b s (pair 1 (pair key (pair n (pair a (@insert b word))))))))
  (def print (tree text) (split tag rest tree (@print2 tag rest text)))
  (def print2 (tag rest text)
    (if tag (rest text) (let gone rest text)
      (p) (let gone p (split key r rest (split n s r (split a b s
        (@print b (%cat (@print a text) (%cat key (%cat " " (%cat (%show (%exact n)) "\n")))))))))))
)

(program copies "a tree with ten million live copies of heap words, made while the collector runs, then counted"
  (def main () (@use (@outer (COPIES_OUTER) 1)))
  (def use (made) (split count tree made (@use2 (op = count (COPIES_LIVE)) tree)))
  (def use2 (right tree)
    (if right (tree) (let gone tree 0)
      (p) (let gone p (@count (COPIES) tree))))
  ; (number of copies, tree); each lower tree shares one fresh string, and leaves an array behind as garbage
  (def outer (d i)
    (if d (i) (@fresh (%show (%exact i)))
      (p) (@both (@outer p (op * i 2)) (@outer p (op + (op * i 2) 1)))))
  (def both (x y)
    (split m a x (split n b y (pair (op + m n) (pair a b)))))
  (def fresh (s) (@inner (op + (op * 0 (%size (%array 1000 s))) (COPIES_INNER)) s))
  (def inner (d s)
    (if d (s) (pair 10 (pair s (pair s (pair s (pair s (pair s (pair s (pair s (pair s (pair s s))))))))))
      (p) (@both (@inner p s) (@inner p s))))
  (def count (d t)
    (if d (t) (@leaf t)
      (p) (split a b t (op + (@count p a) (@count p b)))))
  (def leaf (t)
    (split a t1 t (split b t2 t1 (split c t3 t2 (split d t4 t3 (split e t5 t4 (split f t6 t5 (split g t7 t6
      (split h t8 t7 (split i j t8
        (op + (@one a b) (op + (@one c d) (op + (@one e f) (op + (@one g h) (@one i j)))))))))))))))
  (def one (a b) (op + (%seq a b) 1)))

(program sieve "primes below n, with an array that is copied at each update"
  (def main () (@print 2 (@sieve 2 (%array (SIEVE) 0)) ""))
  (def sieve (i marks) (@sieve2 (op > (op * i i) (op - (SIEVE) 1)) i marks))
  (def sieve2 (over i marks)
    (if over (i marks) (@sieve3 (%get marks i) i marks)
      (p) (let gone p (let g2 i marks))))
  (def sieve3 (mark i marks)
    (if mark (i marks) (@sieve (op + i 1) (@strike (op * i i) i marks))
      (p) (let gone p (@sieve (op + i 1) marks))))
  (def strike (at step marks) (@strike2 (op < at (SIEVE)) at step marks))
  (def strike2 (inside at step marks)
    (if inside (at step marks) (let g1 at (let g2 step marks))
      (p) (let gone p (@strike (op + at step) step (%set marks at 1)))))
  (def print (i marks text) (@print2 (op < i (SIEVE)) i marks text))
  (def print2 (inside i marks text)
    (if inside (i marks text) (let g1 i (let g2 marks text))
      (p) (let gone p (@print3 (%get marks i) i marks text))))
  (def print3 (mark i marks text)
    (if mark (i marks text) (@print (op + i 1) marks (%cat text (%cat (%show (%exact i)) " ")))
      (p) (let gone p (@print (op + i 1) marks text)))))

(program closures "closures in arrays: fetched, applied, replaced by closures that have captured more"
  (def main () (@loop (CLOSURES) (%array 16 (%slice "abcdefghijklmnopqrstuvwxyz")) #1 ""))
  (def loop (n table sum text)
    (if n (table sum text) (let gone table (%cat (%show sum) (%cat " " text)))
      (p) (@step p (op & p 15) table sum text)))
  (def step (p slot table sum text)
    (@step2 p slot (%get table slot) (%set table slot) table sum text))
  (def step2 (p slot piece put table sum text)
    (let gone table
      (@loop p (put (%slice "abcdefghijklmnopqrstuvwxyz")) (%add sum (%mul (%exact slot) (%exact p)))
        (%slice (%cat (piece slot 3) text) 0 40)))))

(program naps "slow natives: sleeps, powers and a file read, beside the pool"
  (def main () (@tree (NAPS) 1))
  (def tree (d i)
    (if d (i) (@work i)
      (p) (%add (@tree p (op * i 2)) (@tree p (op + (op * i 2) 1)))))
  (def work (i)
    (%add (%nap (op + (op & i 7) 1) (%exact i)) (%rem (%power #3 (op * i 37)) #1000003))))
