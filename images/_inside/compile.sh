#!/bin/sh
# compile.sh OWN FOLDER: compiles what will lie in the environment FOLDER, whose users cannot write
# what Python would cache, while it lies in OWN.
set -eu

own=$1 folder=$2

# A layer keeps times in whole seconds, rounded, and Python takes bytecode only where it names the
# very second of its source. So the sources get such a time, and are compiled after that.
find "$own" -type f -exec touch -d '2020-01-01T00:00:00Z' {} +
# Some packages bring templates that are no Python; the verification counts what is not compiled.
"$folder/bin/python" -m compileall -qq -j 0 -s "$own" -p "$folder" "$own/lib" || true
# A layer is the same when its folders' times are, too.
find "$own" -exec touch --no-dereference -d '2020-01-01T00:00:00Z' {} +
