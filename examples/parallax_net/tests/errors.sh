#!/bin/sh
# SPDX-License-Identifier: MIT
# errors.sh PROGRAM LIST -- each line of the list, "net => part of the message", must end with status 1 and say so on
# stderr, with one worker and with several, with and without threads beside the pool; never hang, never crash.
program=$1 list=$2 wrong=0 count=0
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
check() { # wanted message, status, option ...
  wanted=$1 status=$2
  shift 2
  timeout 60 "$program" "$@" >"$directory/out" 2>"$directory/err"
  got=$?
  count=$((count + 1))
  if [ $got -ne "$status" ] || ! grep -qF -- "$wanted" "$directory/err"; then
    wrong=$((wrong + 1))
    echo "WRONG: $*: status $got, wanted $status and '$wanted'; stderr:"
    cat "$directory/err"
  fi
}
tab=$(printf '\t')
sed -n '/^#/d; s/ => /\t/p' "$list" >"$directory/list"
while IFS="$tab" read -r net message; do
  printf '%s' "$net" | sed 's/\\n/\n/g' >"$directory/net.hvm"
  case $message in *"--memory"*) limits="--memory 64m" ;; *) limits="--memory 1g" ;; esac
  # shellcheck disable=SC2086
  for options in "--workers 1" "--workers 3 --async 2"; do
    check "$message" 1 --program "$directory/net.hvm" --heap 16m $options $limits
  done
done <"$directory/list"

# the command line itself
check "--workers must be a number" 2 --workers 0
check "--workers must be a number" 2 --workers x
check "--order must be lifo, fifo or random" 2 --order best
check "neither a program" 2 --program no_such_program
check "no-such-option" 2 --varve no-such-option=1
check "cannot be read" 1 --units "$directory/none"
check "neither a program of --list nor a file" 2 surplus
[ $wrong -eq 0 ] || { echo "$wrong of $count wrong"; exit 1; }
echo "$count checks right"
