#!/bin/sh
# Runs a command with what the building machine needs to reach package registries: its proxy, its
# index, its CA bundle. They come as secrets of the build (images/_tool/registry_access.py), are
# there while one command runs, and stay in no layer.
set -eu

if [ -s /run/secrets/settings ]; then
    set -a
    # shellcheck disable=SC1091 # made by the tool, one quoted NAME='value' a line
    . /run/secrets/settings
    set +a
fi
exec "$@"
