#!/bin/sh
# build_environment.sh FOLDER: an environment with exactly what the image's lock names, by hash. What
# of it is there already stays as it is: it lies in a layer below, and a file that is only touched
# would be stored twice.
set -eu

folder=$1 inside=$(dirname "$0")

export UV_NO_CONFIG=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-120}"

sh "$inside/install_uv.sh"
[ -e "$folder" ] || /opt/uv/bin/uv venv --quiet --python "$(command -v python3)" "$folder"
/opt/uv/bin/uv pip sync --quiet --python "$folder/bin/python" --require-hashes /locks/requirements.txt
rm -rf /opt/uv "$folder/.lock"
# What the image does without, a pattern of paths below site-packages a line.
if [ -e /locks/left-out.txt ]; then
    cd "$folder"/lib/python3.*/site-packages
    sed 's/#.*//' /locks/left-out.txt | while read -r pattern; do
        # shellcheck disable=SC2086 # a pattern
        rm -rf -- $pattern
    done
    cd /
fi
sh "$inside/compile.sh" "$folder" "$folder"
