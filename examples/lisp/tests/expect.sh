#!/bin/sh
# SPDX-License-Identifier: MIT
# expect.sh NAME LISP -- NAME.lisp must print what is in NAME.txt, and end with status 0.
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
"$2" "$1.lisp" >"$out" || { echo "status $?"; cat "$out"; exit 1; }
diff "$1.txt" "$out" && echo "as expected"
