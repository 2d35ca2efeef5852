#!/bin/sh
# build_environment.sh FOLDER: an environment with exactly what the image's lock names, by hash.
set -eu

folder=$1 inside=$(dirname "$0")

export UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"

sh "$inside/install_uv.sh"
/opt/uv/bin/uv venv --quiet --python "$(command -v python3)" "$folder"
/opt/uv/bin/uv pip sync --quiet --python "$folder/bin/python" --require-hashes /locks/requirements.txt
rm -rf /opt/uv "$folder/.lock"
sh "$inside/compile.sh" "$folder" "$folder"
