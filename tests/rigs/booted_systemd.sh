#!/bin/sh
# A systemd as PID 1 of namespaces of its own. Started by booted_systemd.py as
#   setpriv --pdeathsig TERM unshare --mount --propagation private sh booted_systemd.sh FOLDER
# FOLDER/root is its root, FOLDER/binds what is bound into it, a line each: source, target.
# This process guards it: at SIGTERM, or when the one who started it is gone, everything goes.
#
# The kernel is shared with the machine, so nothing within may change it: /sys and /proc/sys are
# read-only, /dev is its own, and it never has the right to set the clock, load modules, or reboot.
set -eu
folder=$1
root=$folder/root

guard() {
    mount -t cgroup2 cgroup2 "$folder/cgroup"
    cgroup=$folder/cgroup/$(sed -n 's/^0::\///p' /proc/self/cgroup)/hearth-$$
    mkdir "$cgroup"
    trap 'exit 143' TERM INT HUP
    trap bury EXIT
    (
        echo 0 >"$cgroup/cgroup.procs"
        exec setpriv --pdeathsig KILL unshare --mount --propagation private --pid --fork \
            --kill-child --uts --ipc --cgroup sh "$0" "$folder" boot
    ) &
    wait $!
}

bury() {
    trap '' TERM INT HUP
    set +e
    echo 1 >"$cgroup/cgroup.kill"
    wait
    # Its processes leave the group after they have ended.
    until find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.01; done
    umount "$folder/cgroup"
    rm -rf "$folder"
}

boot() {
    hostname hearth-rig
    mount --bind "$root" "$root"
    while read -r source target; do
        mount --bind "$source" "$root/$target"
        mount -o remount,bind,ro "$root/$target"
    done <"$folder/binds"
    cd "$root"
    mount_kernel
    mount_devices
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    pivot_root . before
    umount -l /before
    # As on a machine: what systemd mounts for a service, such as its credentials, is seen by it.
    mount --make-rshared /
    exec setpriv --bounding-set -sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-wake_alarm,-audit_control,-audit_write,-audit_read,-mac_admin,-mac_override \
        env -i container=hearth-rig NOTIFY_SOCKET=/rig/notify PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
}

mount_kernel() {
    mount -t proc proc proc
    for name in sys sysrq-trigger irq bus; do
        [ -e "proc/$name" ] || continue
        mount --bind "proc/$name" "proc/$name"
        mount -o remount,bind,ro "proc/$name"
    done
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
}

mount_devices() {
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
    done
    mknod -m 666 dev/tty c 5 0
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
}

if [ "${2-}" = boot ]; then boot; else guard; fi
