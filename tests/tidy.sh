#!/bin/bash
# clang-tidy on one file, unless it passed since it, a header or the settings last changed. Usage: tidy.sh STAMPS FILE FLAG…
set -euo pipefail
mark=$1/${2//\//_} file=$2
shift 2
if [ -e "$mark" ] && [ "$mark" -nt "$file" ] &&
    [ -z "$(find core server tests .clang-tidy -maxdepth 1 \( -name '*.h' -o -name .clang-tidy \) -newer "$mark" -print -quit)" ]; then
    exit 0
fi
clang-tidy --quiet --warnings-as-errors='*' "$file" -- "$@" 2>/dev/null
touch "$mark"
