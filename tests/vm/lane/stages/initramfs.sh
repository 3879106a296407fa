#!/bin/busybox sh
# First stage, in the initramfs: put the root together, and go there.
# Debian's busybox finds its applets by itself, through /proc/self/exe: so /proc comes first, by full name.
/bin/busybox mount -t proc proc /proc
export PATH=/bin
L=/lane

fail() {
    echo "lane: $*" >/dev/console
    poweroff -f
}

mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

for module in /modules/*; do
    insmod "$module" || fail "cannot load $module"
done

# The host's files, read-only, below a tmpfs that takes what is written.
mount -t virtiofs -o ro root /lower || fail "cannot mount the host's root"
mount -t tmpfs -o size=75%,mode=755 tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /root ||
    fail "cannot mount the overlay"

mount -t tmpfs -o mode=755 tmpfs /root/run
cp -a $L /root/run/lane
mount --move /sys /root/sys
mount --move /dev /root/dev
/bin/busybox mount --move /proc /root/proc
exec /bin/busybox switch_root /root /run/lane/busybox sh /run/lane/system.sh
