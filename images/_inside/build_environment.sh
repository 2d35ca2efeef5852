#!/bin/sh
# build_environment.sh FOLDER UV_LOCK LOCK: an environment with exactly what the lock names, by hash.
# uv stays at /opt/uv of this stage for our own wheels (install_wheels.sh).
set -eu

folder=$1 uv_lock=$2 lock=$3

export UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"

python3 -m venv /opt/uv
/opt/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --require-hashes -r "$uv_lock"

/opt/uv/bin/uv venv --quiet --python "$(command -v python3)" "$folder"
/opt/uv/bin/uv pip sync --quiet --python "$folder/bin/python" --require-hashes "$lock"
rm -f "$folder/.lock"
sh "$(dirname "$0")/compile.sh" "$folder" "$folder"
