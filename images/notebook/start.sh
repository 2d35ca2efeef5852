#!/bin/sh
# Gives a new home the examples, then becomes the init process above the command of the pod.
# A folder of that name that is there stays as it is; all or nothing: copied aside, it appears in one
# step. A full or broken home is the more reason to let its owner in, so nothing here ends the start.

# Until there is an init process this shell is PID 1, which no signal ends by itself.
trap 'exit 143' TERM INT

source=/usr/local/share/notebook-hpc/examples
target=$HOME/examples

copy_examples() {
    aside=$(mktemp -d "$HOME/.examples-XXXXXX") || return
    cp -R "$source" "$aside/examples" &&
        # Another pod of the same user may have been quicker; then its copy stays.
        { mv -T "$aside/examples" "$target" 2>/dev/null || [ -e "$target" ]; }
    copied=$?
    rm -rf "$aside"
    return "$copied"
}

if [ ! -e "$target" ] && [ ! -L "$target" ]; then
    copy_examples || echo "start: the examples could not be copied to $target" >&2
fi
# The init process keeps the variables of the pod, an attempt's token among them, and the kernel runs
# as the same user. Linux hides the variables of a program that may be run and not be read from all
# but root, but only if whoever starts it could not read it either: the container's runtime, which
# starts this shell, may have the capability to; a shell of a plain user has not.
exec /usr/bin/tini -s -- "$@"
