#!/bin/bash
# Runs all tests: each cmocka program given, then the API, faults and the browser against the real daemon. Every program
# runs, whatever the one before it said; the last line counts. SUITES names fewer; FAULTS=long asks for the full figures.
set -uo pipefail
passed=0 failed=0
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export PLUMBLINE=${PLUMBLINE:-build/plumbline-asan}

count() { # count NAME OUTPUT-FILE STATUS
    local ok bad
    ok=$(sed -n 's/^# pass //p' "$2") # node's own count, else cmocka's lines
    bad=$(sed -n 's/^# fail //p' "$2")
    ok=${ok:-$(grep -c '^\[       OK \]' "$2" || true)}
    bad=${bad:-$(grep -cE '^\[  FAILED  \] [a-z_0-9]+$' "$2" || true)}
    if [ "$3" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    passed=$((passed + ok)) failed=$((failed + bad))
    if [ "$3" -ne 0 ]; then echo "--- $1 failed:"; cat "$2"; fi
}

patience=300 # seconds for a test
[ "${FAULTS:-}" = long ] && patience=7200
suites=${SUITES-api faults browser}
out=$(mktemp)
PLUMBLINE_SEEN=$(mktemp) # what the API's tests have tried
export PLUMBLINE_SEEN
trap 'rm -f "$out" "$PLUMBLINE_SEEN"' EXIT
for program in "$@"; do
    start=$SECONDS
    "$program" >"$out" 2>&1
    status=$?
    printf '%-44s %s, %d s\n' "$program" "$([ $status -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - start))
    grep -E '^worst relative error|left out|skipped:|^[0-9]+ (power cuts|runs)|^with [0-9]+ jobs' "$out"
    count "$program" "$out" $status
done
for suite in $suites; do
    start=$SECONDS
    # The pages are tested on the program that people get; what the sanitizers look for, the API's tests reach.
    binary=$PLUMBLINE
    [ "$suite" = browser ] && binary=build/plumbline
    # Much of the API's tests is waiting for jobs: two files at once.
    at_once=$([ "$suite" = api ] && echo 2 || echo 1)
    PLUMBLINE=$binary timeout $((patience * 2)) node tests/suite.mjs "$at_once" "$patience" tests/"$suite"/*.test.mjs >"$out" 2>&1
    status=$?
    figures=$(grep -E '^    # [^S]' "$out" || true)
    sed -i -n '/^ok \|^not ok \|^    ok \|^    not ok /{s/^    //;p};/^#\|^ *---\|error:\|at \|message\|expected\|actual/p' "$out"
    printf '%-44s %s, %d s\n' "tests/$suite" "$([ $status -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - start))
    grep -E '# SKIP' "$out"
    [ -z "$figures" ] || printf '%s\n' "$figures"
    count "tests/$suite" "$out" $status
done
case " $suites " in *" api "*)
    node tests/coverage.mjs "$PLUMBLINE_SEEN" | tee "$out"
    count "what the API's document tells and no test has tried" "$out" "${PIPESTATUS[0]}"
    ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
