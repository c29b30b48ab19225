#!/bin/sh
# SPDX-License-Identifier: MIT
# check_headers.sh -- the public face is what it claims to be.
#
#   check_headers.sh headers             each public header compiles alone, as C11 and as C++17, without a warning, and
#                                        defines only VARVE_ macros and varve_ names
#   check_headers.sh symbols A.a B.so    every name the static form defines starts with varve_; the shared form exports
#                                        exactly the functions that the headers mark VARVE_API
# Uses CC, CXX, NM, PYTHON when set. Prints what is wrong; exits 1 when something is.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
include=$root/include
CC=${CC:-cc} CXX=${CXX:-c++} NM=${NM:-nm} PYTHON=${PYTHON:-python3}
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
  echo "check_headers: $*"
  failed=1
}

headers() { (cd "$include" && ls varve/*.h); }

compiles_alone() { # header
  printf '#include "%s"\n#include "%s"\nint main(void) { return 0; }\n' "$1" "$1" >"$work/alone.c"
  cp "$work/alone.c" "$work/alone.cpp"
  $CC -std=c11 $warnings -I"$include" -fsyntax-only "$work/alone.c" || complain "$1 does not compile alone as C11"
  $CXX -std=c++17 $warnings -I"$include" -fsyntax-only "$work/alone.cpp" ||
    complain "$1 does not compile alone as C++17"
}

# Macros: what is there after the header and was not there after the standard headers it includes.
check_macros() {
  standard='<stdbool.h> <stddef.h> <stdint.h> <string.h>'
  for header in $standard; do echo "#include $header"; done >"$work/before.c"
  { cat "$work/before.c"; headers | sed 's/.*/#include "&"/'; } >"$work/after.c"
  for when in before after; do
    $CC -std=c11 -I"$include" -dM -E "$work/$when.c" | awk '{ sub(/\(.*/, "", $2); print $2 }' | sort -u >"$work/$when"
  done
  for name in $(comm -13 "$work/before" "$work/after" | grep -v '^VARVE_'); do
    complain "public headers define $name"
  done
}

# Other names, from the preprocessed text of our own headers.
check_names() {
  headers | sed 's/.*/#include "&"/' >"$work/all.c"
  $CC -std=c11 -I"$include" -E "$work/all.c" >"$work/all.i"
  $PYTHON - "$work/all.i" <<'PY' || failed=1
import re, sys

ours, keep = [], False
for line in open(sys.argv[1]):
    marker = re.match(r'# \d+ "([^"]*)"', line)
    if marker:
        keep = re.search(r"/varve/[^/]+\.(h|def)$", marker.group(1)) is not None
    elif keep:
        ours.append(line)
text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", "".join(ours))
text = re.sub(r'"[^"]*"', '""', text)
enums = re.findall(r"\benum\s*\w*\s*\{([^}]*)\}", text)
names = {re.split(r"[\s=]", item.strip())[0] for body in enums for item in body.split(",") if item.strip()}
while re.search(r"\{[^{}]*\}", text):  # leave only what stands outside of braces
    text = re.sub(r"\{[^{}]*\}", "@", text)
names |= set(re.findall(r"\b(?:struct|union|enum)\s+(\w+)", text))
for part in re.split(r"[;@]", text):
    part = part.strip()
    if not part or part.startswith("_Static_assert"):
        continue
    call = re.search(r"(\w+)\s*\(", part)
    last = re.search(r"(\w+)\s*(?:\[[^]]*\])?$", part)
    names.add((call or last).group(1))
plain = {"struct", "union", "enum", "typedef"}
wrong = sorted(n for n in names - plain if not re.match(r"(varve_|VARVE_)", n))
for name in wrong:
    print("check_headers: public headers define", name)
if len(names) < 50:
    print("check_headers: only", len(names), "names found: the check itself is broken")
sys.exit(1 if wrong or len(names) < 50 else 0)
PY
}

declared() { # the names of all functions marked VARVE_API
  headers | sed 's/.*/#include "&"/' >"$work/api.c"
  $CC -std=c11 -I"$include" -E -P "$work/api.c" | tr '\n' ' ' | grep -oE 'visibility\("default"\)\)\)[^;{]*' |
    grep -oE '\bvarve_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u
}

check_symbols() { # archive shared
  for name in $($NM -g --defined-only "$1" 2>/dev/null | awk 'NF == 3 && $3 !~ /^varve_/ { print $3 }' | sort -u); do
    complain "the static form defines $name"
  done
  declared >"$work/declared"
  $NM -D --defined-only "$2" | awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"
  [ "$(wc -l <"$work/declared")" -ge 20 ] || complain "too few VARVE_API functions found: the check itself is broken"
  for name in $(comm -13 "$work/declared" "$work/exported"); do complain "the shared form exports $name"; done
  for name in $(comm -23 "$work/declared" "$work/exported"); do complain "VARVE_API $name is nowhere defined"; done
}

case ${1:-} in
headers)
  for header in $(headers); do compiles_alone "$header"; done
  check_macros
  check_names
  ;;
symbols) check_symbols "$2" "$3" ;;
*)
  sed -n '4,9s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
exit $failed
