#!/bin/sh
# build_environment.sh FOLDER UV_LOCK LOCK WHEEL...: an environment with exactly what the lock
# names, by hash, and our own wheels; compiled, for its users cannot write what Python would cache.
set -eu

folder=$1 uv_lock=$2 lock=$3
shift 3
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

export UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export UV_CACHE_DIR="${UV_CACHE_DIR:-$tools/cache}" UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"

python3 -m venv "$tools/uv"
"$tools/uv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --require-hashes -r "$uv_lock"
uv=$tools/uv/bin/uv
python=$folder/bin/python

"$uv" venv --quiet --python "$(command -v python3)" "$folder"
"$uv" pip sync --quiet --python "$python" --require-hashes "$lock"
"$uv" pip install --quiet --python "$python" --no-deps --offline "$@"
rm -f "$folder/.lock"

# A layer keeps times in whole seconds, rounded, and Python takes bytecode only where it names the
# very second of its source. So the sources get such a time, and are compiled after that.
find "$folder" -type f -exec touch -d '2020-01-01T00:00:00Z' {} +
# Some packages bring templates that are no Python; the verification counts what is not compiled.
"$python" -m compileall -qq -j 0 "$folder/lib" || true
