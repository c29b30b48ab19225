#!/bin/sh
# SPDX-License-Identifier: MIT
# command.sh LISP -- standard input, exit statuses, and the file and line of errors.
lisp=$1 wrong=0 count=0
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
check() { # input file's text, status, what stdout is, part of stderr
  printf "$1" >"$directory/in.lisp"
  out=$("$lisp" "$directory/in.lisp" 2>"$directory/err" </dev/null)
  got=$?
  count=$((count + 1))
  if [ $got -ne "$2" ] || [ "$out" != "$3" ] || { [ "$4" ] && ! grep -qF -- "$4" "$directory/err"; }; then
    wrong=$((wrong + 1))
    echo "WRONG: $1: status $got, wanted $2; printed '$out', wanted '$3'; stderr: $(cat "$directory/err"), wanted $4"
  fi
}
echo >"$directory/err"
check '(display 1)\n(display "x\\ny")' 0 '1x
y' ''
check '(display 1)\n\n(car 5)\n(display 2)' 1 1 'in.lisp:3: car: expected a pair, got 5'
check '(display 1)\n(+ 1\n2' 1 1 "in.lisp:2: ')' is missing for the list that begins here"
check '(display 1))' 1 1 'in.lisp:1: a list ends here that has not begun'
check '"abc' 1 '' 'in.lisp:1: a string that begins here has no end'
check 'nowhere' 1 '' 'in.lisp:1: unbound variable: nowhere'
check '(exit 7)(display 1)' 7 '' ''
check '(try (e 1) (exit 3))' 3 '' ''
check '(finalize (list 1) (lambda (x) (exit 5)))(gc)(display 1)' 5 '' ''
check '(raise (list 1 2))' 1 '' 'in.lisp:1: raised: (1 2)'
check '(finalize (list 1) (lambda (x) (car 5)))(gc)(display 1)' 0 1 'in a finalizer: car: expected a pair, got 5'
count=$((count + 2))
[ "$(echo '(display (+ 1 2))' | "$lisp")" = 3 ] || { wrong=$((wrong + 1)); echo "WRONG: standard input"; }
"$lisp" "$directory/none" 2>"$directory/err"
grep -qF 'No such file' "$directory/err" || { wrong=$((wrong + 1)); echo "WRONG: no file"; }
VARVE_OPTIONS=no-such=1 "$lisp" 2>"$directory/err" </dev/null && { wrong=$((wrong + 1)); echo "WRONG: options"; }
[ $wrong -eq 0 ] || { echo "$wrong of $count wrong"; exit 1; }
echo "$count checks right"
