#!/bin/sh
# SPDX-License-Identifier: MIT
# jemalloc_copy.sh ARCHIVE OBJECT -- the work of VarveJemalloc.cmake, in five steps. Needs NM, OBJCOPY, AR, LD.
set -eu
archive=$1
object=$2
work=$(mktemp -d "$object.XXXXXX")
trap 'rm -rf "$work"' EXIT

# 1. Every global name gets the prefix; C++ names go with the C++ object. Three fields: nm's headings have fewer.
"$NM" -g --defined-only "$archive" | awk 'NF == 3 && $3 !~ /^_Z/ { print $3, "varve_je_" $3 }' | sort -u >"$work/names"
"$OBJCOPY" --redefine-syms="$work/names" "$archive" "$work/renamed.a"
"$AR" d "$work/renamed.a" jemalloc_cpp.pic.o

# 2. Settings come from meta.c only: same lengths, names that no environment and no file system can hold.
LC_ALL=C sed -e 's/MALLOC_CONF/=VARVE_CONF/g' -e 's#/etc/malloc\.conf#/dev/null/varve_#g' \
  "$work/renamed.a" >"$work/deaf.a"

# 3. One object.
"$LD" -r -o "$work/whole.o" --whole-archive "$work/deaf.a"

# 4. Four names stay visible to the rest of the library.
"$OBJCOPY" --keep-global-symbol=varve_je_mallocx --keep-global-symbol=varve_je_sdallocx \
  --keep-global-symbol=varve_je_mallctl --keep-global-symbol=varve_je_malloc_conf "$work/whole.o" "$work/kept.o"

# 5. Check what the steps rely on, then deliver whole or not at all.
for name in mallocx sdallocx mallctl malloc_conf; do
  "$NM" -g --defined-only "$work/kept.o" | grep -q " varve_je_$name\$" ||
    { echo "jemalloc_copy: $archive defines no $name" >&2; exit 1; }
done
for text in MALLOC_CONF /etc/malloc.conf; do
  if grep -qaF "$text" "$work/kept.o"; then
    echo "jemalloc_copy: $archive still reads $text" >&2
    exit 1
  fi
done
mv "$work/kept.o" "$object"
