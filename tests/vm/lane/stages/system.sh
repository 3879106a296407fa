# Second stage, as process 1 on the host's files: set the machine up about as systemd would.
# Nothing but busybox runs here, whatever the host has installed.
export PATH=/bin
L=/run/lane
. $L/settings

# A fresh /tmp, in which the folders of the host's /tmp that the command needs stay. Before the mounts
# become shared: the kernel refuses to move a mount out of a shared one.
keep() {
    mkdir -p "$L$1"
    mount --bind "$1" "$L$1"
}
mkdir $L/tmp
mount -t tmpfs -o mode=1777 tmpfs $L/tmp
. $L/kept
mount --move $L/tmp /tmp
mount --make-rshared /

mkdir -p /dev/pts /dev/shm /dev/mqueue /run/lock /run/user
mount -t devpts -o mode=620,ptmxmode=666,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
for kind in securityfs:/sys/kernel/security debugfs:/sys/kernel/debug tracefs:/sys/kernel/tracing bpf:/sys/fs/bpf; do
    mount -t ${kind%%:*} ${kind%%:*} ${kind#*:} 2>/dev/null
done
ifconfig lo 127.0.0.1 netmask 255.0.0.0 up
echo lane >/proc/sys/kernel/hostname

mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo +$controller >/sys/fs/cgroup/cgroup.subtree_control
done

# This kernel's modules, where modprobe looks for them, and the nodes that load one when opened.
mkdir -p /lib/modules/$RELEASE
mount --bind "$MODULES" /lib/modules/$RELEASE
node() {
    [ -e /dev/$1 ] && return
    case $1 in
    */*) mkdir -p /dev/${1%/*} ;;
    esac
    mknod /dev/$1 $2 $3 $4
}
. $L/nodes

share() {
    mkdir -p "$2"
    mount -t virtiofs $1 "$2"
}
. $L/shares
if [ -n "$DISK" ]; then
    mkdir -p /scratch
    mount -t ext4 $DISK /scratch
fi

. $L/session.sh
