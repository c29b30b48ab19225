#!/bin/sh
# SPDX-License-Identifier: MIT
# linking.sh WAY LIBRARY INCLUDE WORK -- build hosts with libc's malloc, with a malloc of their own and with jemalloc,
# and run each with the library:
#
#   static    LIBRARY is an archive, linked in
#   shared    LIBRARY is a shared object, linked in
#   loaded    LIBRARY is a shared object whose tables come from malloc, loaded at run time
#   refused   LIBRARY is a shared object with jemalloc inside: loading it is refused, with the reason, and hurts nothing;
#             where the system has room for it, it works
#
# Needs CC, LIBS (what an archive needs), JEMALLOC (libjemalloc.so, or empty: that host is left out).
set -eu
way=$1
library=$2
include=$3
work=$4
here=$(dirname "$0")
flags="-std=c11 -O1 -Wall -Wextra -Werror -fno-builtin"
failed=0
mkdir -p "$work"

complain() {
  echo "linking: $*"
  failed=1
}

build() { # NAME [FLAG...]
  target=$work/$1
  shift
  # The unquoted words are lists of flags.
  ${CC:-cc} $flags -I"$include" "$@" -rdynamic -pthread -ldl -o "$target"
}

run() { # WHAT EXPECTED-STATUSES COMMAND...
  what=$1
  expected=$2
  shift 2
  status=0
  "$@" >"$work/output" 2>&1 || status=$?
  echo "$way, $what: exit status $status: $(tail -n 1 "$work/output")"
  case " $expected " in
  *" $status "*) ;;
  *) complain "$way, $what: expected was exit status $expected" ;;
  esac
}

# What a host is made of: its own flags, what its malloc is called, and settings in the environment.
host() { # NAME OBJECT ENVIRONMENT [FLAG...]
  name=$way-$1
  object=$2
  settings=$3
  shift 3
  build "$name-plain" "$here/host.c" -DHOST_PLAIN "$@"
  run "$name without the library" 0 "$work/$name-plain" "$object"
  case $way in
  static) build "$name" "$here/host.c" "$library" $LIBS "$@" ;;
  shared) build "$name" "$here/host.c" "$library" -Wl,-rpath,"$(dirname "$library")" "$@" ;;
  *) build "$name" "$here/host.c" -DHOST_LOADS "$@" ;;
  esac
  case $way in
  static | shared) run "$name" 0 env "$settings" "$work/$name" "$object" ;;
  loaded) run "$name" 0 env "$settings" "$work/$name" "$object" "$library" ;;
  refused)
    run "$name" "0 3" env "$settings" "$work/$name" "$object" "$library"
    [ "$status" -eq 0 ] || grep -q "static TLS" "$work/output" || complain "$name: the reason is not told"
    run "$name, room for it" 0 env "$settings" GLIBC_TUNABLES=glibc.rtld.optional_static_tls=8192 \
      "$work/$name" "$object" "$library"
    ;;
  esac
}

# Settings that end a jemalloc that listens to them; for a host with a jemalloc of its own, some that it obeys.
deadly=MALLOC_CONF=abort_conf:true,bogus:1
host libc libc.so "$deadly"
host own "$way-own" "$deadly" -DHOST_MALLOC
if [ -n "${JEMALLOC:-}" ]; then
  host jemalloc libjemalloc MALLOC_CONF=narenas:3,abort_conf:true -Wl,--no-as-needed "$JEMALLOC"
  # Both checks are alive.
  run "control, another malloc" 1 "$work/$way-jemalloc-plain" libc.so
  run "control, a jemalloc that listens" 134 env "$deadly" "$work/$way-jemalloc-plain" libjemalloc
else
  echo "linking: without a host that uses jemalloc: there is no libjemalloc.so"
fi
run "control, a malloc of the host's own" 1 "$work/$way-own-plain" libc.so
exit $failed
