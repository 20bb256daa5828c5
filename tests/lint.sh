#!/bin/bash
# The rules of the house that a machine keeps. Usage: lint.sh BUILD CFLAGS FILE…
set -euo pipefail
build=$1
read -ra cflags <<<"$2"
shift 2
sources=() headers=()
for file in "$@"; do
    case $file in *.c) sources+=("$file") ;; *) headers+=("$file") ;; esac
done

say() { printf '%s\n' "lint: $1" >&2; }
failed=0

clang-format --dry-run --Werror "${headers[@]}" "${sources[@]}" || { say "clang-format: make format writes it"; failed=1; }

if grep -nE '#include "(\.\./)?server/' core/*.[ch]; then
    say "core/ includes nothing of server/"
    failed=1
fi
if grep -lE '#include <(cblas|openblas_config|lapacke).*>' core/*.[ch] server/*.[ch] | grep -vx 'core/blas.c'; then
    say "only core/blas.c calls OpenBLAS"
    failed=1
fi
if grep -nE '"resolved": *"https?:' web/package-lock.json; then
    say "the lock file names a registry's host"
    failed=1
fi

# clang-tidy does not know gcc's own warning flags
tidy_flags=()
for flag in "${cflags[@]}"; do
    case $flag in -W*|-MMD|-MP|-fno-trapping-math|-fno-math-errno) ;; *) tidy_flags+=("$flag") ;; esac
done
stamp=$build/lint
mkdir -p "$stamp"
tidy() { # a file that has not changed since it passed, nor any header, is not read again
    local file=$1 mark=$stamp/${1//\//_}
    [ -e "$mark" ] && [ "$mark" -nt "$file" ] && [ -z "$(find core server tests .clang-tidy -maxdepth 1 \( -name '*.h' -o -name .clang-tidy \) -newer "$mark" -print -quit)" ] && return 0
    clang-tidy --quiet --warnings-as-errors='*' "$file" -- "${tidy_flags[@]}" 2>/dev/null && touch "$mark"
}
export -f tidy
export stamp
export tidy_flags_text="${tidy_flags[*]}"
printf '%s\0' "${sources[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'read -ra tidy_flags <<<"$tidy_flags_text"; tidy "$1"' _ {} ||
    { say "clang-tidy has findings"; failed=1; }

cppcheck --quiet --std=c11 --language=c -j "$(nproc)" --enable=warning,performance,portability --inline-suppr \
    --suppress=missingIncludeSystem --suppress=unknownMacro --error-exitcode=1 -I. -DPLUMBLINE_VERSION='""' \
    core server || { say "cppcheck has findings"; failed=1; }

(cd web && npm run --silent lint) || { say "the dashboard's lint has findings"; failed=1; }
if command -v shellcheck >/dev/null; then
    shellcheck tests/*.sh migrations/*.sh .ci/run || { say "shellcheck has findings"; failed=1; }
fi
[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
