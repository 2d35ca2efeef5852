#!/bin/sh
# Gives a home the examples of this image that it was never given, then becomes the init process above
# the command of the pod. What is there stays as it is, and what its owner took away stays away: a note
# has the names of all that was ever given (hub_config/spawners/examples.py does the same for a session
# without a pod). A full or broken home is the more reason to let its owner in, so nothing here ends the
# start.

# Until there is an init process this shell is PID 1, which no signal ends by itself.
trap 'exit 143' TERM INT

source=/usr/local/share/notebook-hpc/examples
target=$HOME/examples

note=$HOME/.local/share/notebook-hpc/examples-given

list_fresh() {
    for path in "$source"/*; do
        [ ! -e "$path" ] || grep -Fxqs -e "${path##*/}" "$note" || echo "${path##*/}"
    done
}

# All or nothing is copied aside, and each is noted before it appears.
move_examples() {
    echo "$fresh" | while IFS= read -r name; do
        cp -R "$source/$name" "$1/" || exit
    done || return
    mkdir -p "${note%/*}" && mkdir -p "$target" || return
    echo "$fresh" | while IFS= read -r name; do
        echo "$name" >>"$note" || exit
        # Another pod of the same user may be as quick: what is there is never moved over.
        mv -nT "$1/$name" "$target/$name" || [ -e "$target/$name" ] || [ -L "$target/$name" ] || exit
    done
}

copy_examples() {
    aside=$(mktemp -d "$HOME/.examples-XXXXXX") || return
    move_examples "$aside"
    copied=$?
    rm -rf "$aside"
    return "$copied"
}

fresh=$(list_fresh)
# A file or a link in the place of the folder is its owner's.
if [ "$fresh" ] && [ ! -L "$target" ] && { [ -d "$target" ] || [ ! -e "$target" ]; }; then
    copy_examples || echo "start: the examples could not be copied to $target" >&2
fi
# The init process keeps the variables of the pod, an attempt's token among them, and the kernel runs
# as the same user. Linux hides the variables of a program that may be run and not be read from all
# but root, but only if whoever starts it could not read it either: the container's runtime, which
# starts this shell, may have the capability to; a shell of a plain user has not.
exec /usr/bin/tini -s -- "$@"
