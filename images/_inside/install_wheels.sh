#!/bin/sh
# install_wheels.sh FOLDER OWN WHEEL...: our own wheels for the environment FOLDER, installed into
# OWN, so that they are a layer of their own, the only one that a change of our code changes.
set -eu

folder=$1 own=$2
shift 2

/opt/uv/bin/uv pip install --quiet --no-config --no-cache --no-progress --offline --no-deps \
    --python "$folder/bin/python" --prefix "$own" "$@"
rm -f "$own/.lock"
sh "$(dirname "$0")/compile.sh" "$own" "$folder"
