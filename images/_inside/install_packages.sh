#!/bin/sh
# install_packages.sh --python|--venv PACKAGE...: Debian packages, and Python where the base has
# none that is new enough; with --venv one that can make environments.
set -eu

case $1 in
    --python) needs='' python=python3 ;;
    --venv) needs=ensurepip, python=python3-venv ;;
    *) echo "install_packages.sh: --python or --venv, not '$1'" >&2 && exit 2 ;;
esac
shift
if python3 -c "import ${needs} sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
    python=
fi
if [ -n "$python$*" ]; then
    command -v apt-get >/dev/null || {
        echo "The base image has no apt-get, which brings${python:+ $python} $*: choose another BASE, like Debian's." >&2
        exit 1
    }
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    # shellcheck disable=SC2086 # one word or none
    apt-get -qq install -y --no-install-recommends $python "$@" >/dev/null
fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "The base image needs Python 3.11 or newer, and brings none: choose another BASE." >&2
    exit 1
}
