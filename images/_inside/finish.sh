#!/bin/sh
# finish.sh: the user of all our images, and nothing that gains rights or only takes room.
set -eu

id -u jovyan >/dev/null 2>&1 ||
    useradd --uid 1000 --gid 100 --no-user-group --create-home --home-dir /home/jovyan \
        --shell /bin/bash jovyan
chmod 0755 /home/jovyan

# The init process of a pod keeps the variables that it was started with, an attempt's token among
# them, and everything in the container runs as the same user. Linux shows the memory and the
# variables of a process to nobody but root when its program may be run but not be read, and was
# started by someone who may not read it either (images/notebook/start.sh).
chmod 0711 "$(command -v tini)"

# Pods run without privileges and may gain none.
find / -xdev -type f -perm /6000 -exec chmod ug-s {} +

rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* /tmp/*
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/info/*
