#!/bin/sh
# Installs what tests need and only the system can give, where that is possible: on Debian, as root.
# What is there already stays as it is. Where it cannot be had this script says so, and the rings
# skip themselves with that reason (tests/skips.py).
set -eu

log=$(dirname "$0")/../build/system-packages.log
failed=

# missing PACKAGE PROGRAM...: says the package unless one of the programs is there.
missing() {
    package=$1
    shift
    for program in "$@"; do
        if command -v "$program" >/dev/null 2>&1; then return; fi
    done
    echo "$package"
}

# install WHAT RING PACKAGE...: installs the packages that RING needs to have WHAT.
install() {
    what=$1 ring=$2
    shift 2
    if [ $# -eq 0 ]; then return; fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "$what: not installed, and cannot be but by root on Debian ($*); the $ring needs it."
        return
    fi
    echo "Installing $what ($*) ..."
    mkdir -p "$(dirname "$log")"
    if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "$what could not be installed; the $ring will skip itself."
        failed=yes
    fi
}

export DEBIAN_FRONTEND=noninteractive
rm -f "$log"

# The browser ring drives a browser, whose pages have no text without a font. Any will do, but the
# one without windows takes two thirds of the processors' time.
if [ -n "$(missing any chromium-headless-shell chromium chromium-browser google-chrome)" ]; then
    install Chromium "browser ring" chromium-headless-shell fonts-dejavu-core
fi

# Real nodes of the test bed run on Linux: the kubelet starts containers with containerd, which does
# it with runc and gives pods a network with the plugins; kube-proxy makes Services of nftables'
# rules; iproute2 and util-linux keep all that in namespaces of its own.
if [ "$(uname -s)" = Linux ]; then
    # shellcheck disable=SC2046 # each is one word or none
    install "What real nodes need" "node ring" \
        $(missing containerd containerd) \
        $(missing runc runc) \
        $(missing containernetworking-plugins /usr/lib/cni/ptp /opt/cni/bin/ptp /usr/libexec/cni/ptp) \
        $(missing nftables nft) \
        $(missing iproute2 ip) \
        $(missing util-linux unshare)
fi

# Parameters are shown to reach a kernel of another language.
# shellcheck disable=SC2046 # each is one word or none
install "R with its kernel" "runner ring" $(missing r-cran-irkernel Rscript)

# The jobs service and the hub keep their records on a real database server, too.
# shellcheck disable=SC2046 # each is one word or none
install "PostgreSQL" "service ring" $(missing postgresql /usr/lib/postgresql/*/bin/postgres)

# Images are built with buildah upon a Debian that debootstrap makes: neither needs a registry of
# images, and buildah no engine. They are pushed to a registry of the tests' own.
if [ "$(uname -s)" = Linux ]; then
    # shellcheck disable=SC2046 # each is one word or none
    install "What builds images" "images ring" \
        $(missing buildah buildah) \
        $(missing debootstrap debootstrap) \
        $(missing docker-registry docker-registry)
fi

if [ -z "$failed" ]; then
    rm -f "$log"
else
    # The gate runs where all of it can be had: there a missing package is a fault.
    test "${CI:-}" != true
fi
