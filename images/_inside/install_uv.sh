#!/bin/sh
# install_uv.sh: uv at /opt/uv, with exactly what the lock of it names, by hash. It makes
# environments and installs wheels; no image keeps it.
set -eu

python3 -m venv /opt/uv
/opt/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --require-hashes -r /locks/requirements-uv.txt
