#!/bin/bash
# The rules of the house that a machine keeps. Usage: lint.sh BUILD FILE… -- CFLAG…
set -euo pipefail
build=$1
shift
sources=() headers=()
while [ "$1" != -- ]; do
    case $1 in *.c) sources+=("$1") ;; *) headers+=("$1") ;; esac
    shift
done
shift

say() { printf '%s\n' "lint: $1" >&2; }
failed=0

# Each clang-format lays a few things out in its own way; the files are as Debian 12's writes them.
if [[ $(clang-format --version) == *"version 14."* ]]; then
    clang-format --dry-run --Werror "${headers[@]}" "${sources[@]}" || { say "clang-format: make format writes it"; failed=1; }
else
    say "the layout of C files is not looked at: that takes clang-format 14, here is another"
fi

if LC_ALL=C.UTF-8 grep -nE '^.{121,}' "${headers[@]}" "${sources[@]}"; then
    say "a line, comments too, has 120 columns at most"
    failed=1
fi
if grep -nE '#include "(\.\./)?server/' core/*.[ch]; then
    say "core/ includes nothing of server/"
    failed=1
fi
if grep -lE '#include <(cblas|openblas_config|lapacke).*>' core/*.[ch] server/*.[ch] | grep -vx 'core/blas.c'; then
    say "only core/blas.c calls OpenBLAS"
    failed=1
fi
if grep -n 'json_dumps(' core/*.[ch] server/*.[ch] | grep -v '^core/json_text'; then
    say "json_text() in place of json_dumps(), which loses a key where memory runs out"
    failed=1
fi
if grep -n 'open_memstream(' core/*.[ch] server/*.[ch]; then
    say "text_stream_open() in place of open_memstream(), which loses text where memory runs out"
    failed=1
fi
version=$(sed -n 's/^VERSION := //p' Makefile)
if ! grep -qF "image.version=\"$version\"" Dockerfile; then
    say "Dockerfile's label has another version than Makefile's $version"
    failed=1
fi
if grep -nE '"resolved": *"https?:' web/package-lock.json; then
    say "the lock file names a registry's host"
    failed=1
fi

# clang-tidy does not know gcc's own warning flags
tidy_flags=()
for flag in "$@"; do
    case $flag in -W*|-MMD|-MP|-fno-trapping-math|-fno-math-errno) ;; *) tidy_flags+=("$flag") ;; esac
done
mkdir -p "$build/lint"
printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I{} bash tests/tidy.sh "$build/lint" {} "${tidy_flags[@]}" ||
    { say "clang-tidy has findings"; failed=1; }

# cppcheck does not know the cleanup attribute and would call what it frees leaked; LeakSanitizer watches that. Nor does it
# see, in later versions, what the status rules out; gcc and clang-tidy do.
cppcheck --quiet --std=c11 --language=c -j "$(nproc)" --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=memleak --suppress=resourceLeak \
    --suppress=uninitvar --suppress=nullPointerOutOfMemory --suppress=normalCheckLevelMaxBranches --error-exitcode=1 \
    -I. -DPLUMBLINE_VERSION='""' core server || { say "cppcheck has findings"; failed=1; }

(cd web && npm run --silent lint) || { say "the dashboard's lint has findings"; failed=1; }
shellcheck tests/*.sh tests/deploy/*.sh migrations/*.sh .ci/run || { say "shellcheck has findings"; failed=1; }
[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
