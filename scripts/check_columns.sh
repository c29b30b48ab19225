#!/bin/sh
# SPDX-License-Identifier: MIT
# check_columns.sh -- no line of the library or the examples is longer than 120 columns. Prints those that are; exits 1.
cd "$(dirname "$0")/.." || exit 1
find core include numa regions examples -name '*.[ch]' -o -name '*.def' | sort |
  xargs awk 'length > 120 { print FILENAME ":" FNR ": " length " columns"; bad = 1 } END { exit bad }'
