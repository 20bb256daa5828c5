#!/bin/sh
# Installs what is missing on Debian: for each command or library that does not answer, its package.
#
#     sh tests/dependencies.sh [build|bench]     build: only what the program is built with; bench: that of the bench too
set -eu

missing=""
need_command() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need_library() { pkg-config --exists "$1" 2>/dev/null || missing="$missing $2"; }
need_file() { [ -e "$1" ] || missing="$missing $2"; }

need_command gcc gcc
need_command make make
need_file /usr/include/stdio.h libc6-dev
need_command pkg-config pkg-config
need_command node nodejs
need_command npm npm
need_command gzip gzip
need_library libmicrohttpd libmicrohttpd-dev
need_library jansson libjansson-dev
need_library sqlite3 libsqlite3-dev
need_library openblas libopenblas-dev
need_library libsodium libsodium-dev
need_library zlib zlib1g-dev
need_library libpng libpng-dev
need_library libcurl libcurl4-openssl-dev

if [ "${1:-}" != build ]; then
    need_file /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz dataset-fashion-mnist
    need_library cmocka libcmocka-dev
    need_command clang-format clang-format
    need_command clang-tidy clang-tidy
    need_command cppcheck cppcheck
    need_command shellcheck shellcheck
    need_command curl curl
    need_command sqlite3 sqlite3
    need_command chromium chromium
    need_command rsvg-convert librsvg2-bin
    need_command python3 python3
    need_file /usr/lib/python3/dist-packages/numpy python3-numpy
fi
[ "${1:-}" != bench ] || need_command wrk wrk

[ -n "$missing" ] || exit 0
echo "Installing:$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Not root, and no sudo: install these packages, then go on:$missing" >&2
        exit 1
    }
    as_root="sudo"
fi
# shellcheck disable=SC2086 # a list of words
{
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
