#!/bin/sh
# What a real node sees as its machine: run as process 1 of the node's PID and mount namespaces.
#   node_root.sh FOLDER KUBELET PAUSE
# Everything that a kubelet and containerd write outside of FOLDER goes to a file system in memory
# that ends with the namespace, so a node that is killed leaves no mount and no file on the machine.
set -eu
folder=$1 kubelet=$2 pause=$3

mount --make-rshared /
mount -t tmpfs -o mode=755 run /run
mkdir /run/bin /run/sysctl
for program in "$kubelet" "$pause"; do
  touch "/run/bin/${program##*/}"
  mount --bind "$program" "/run/bin/${program##*/}"
done

# The kubelet wants these values of the whole machine and would set them; it finds them set instead.
set_apparently() {
  echo "$2" >"/run/sysctl/${1##*/}"
  mount --bind "/run/sysctl/${1##*/}" "/proc/sys/$1"
}
set_apparently vm/overcommit_memory 1
set_apparently vm/panic_on_oom 0
set_apparently kernel/panic 10
set_apparently kernel/panic_on_oops 1
set_apparently kernel/keys/root_maxkeys 1000000
set_apparently kernel/keys/root_maxbytes 25000000

mount --bind "$folder/log" /var/log
mount --bind "$folder/lib" /var/lib
exec /run/bin/pause
