#!/bin/sh
# compile.sh OWN FOLDER: compiles what will lie in the environment FOLDER, whose users cannot write
# what Python would cache, while it lies in OWN.
set -eu

own=$1 folder=$2

# Gives all that find names below OWN, by these conditions, one time, but for what has it.
age() {
    find "$own" "$@" \
        \( -newermt '2020-01-01T00:00:00Z' -o ! -newermt '2019-12-31T23:59:59Z' \) \
        -exec touch --no-dereference -d '2020-01-01T00:00:00Z' {} +
}

# A layer keeps times in whole seconds, rounded, and Python takes bytecode only where it names the
# very second of its source. So the sources get such a time, and are compiled after that.
age -type f
# Some packages bring templates that are no Python; the verification counts what is not compiled.
"$folder/bin/python" -m compileall -qq -j 0 -s "$own" -p "$folder" "$own/lib" || true
# A layer is the same when its folders' times are, too.
age
