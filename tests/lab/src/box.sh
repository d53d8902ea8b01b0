#!/bin/sh
# Boots the system's own systemd as the first process of a small container: its root is this machine's, written to
# memory. Nothing of the kernel but the own network can be changed from it.
# Words: stage, control group, folder for the root, folder of the programs under test, of plugins, unit file.
set -e
stage=$1 group=$2 root=$3 programs=$4 plugins=$5 unit=$6
case $stage in
begin)
    exec unshare --pid --fork --kill-child "$0" enter "$group" "$root" "$programs" "$plugins" "$unit" ;;
enter)
    # Alone in its group, so that systemd may hand controllers down.
    echo 0 >"$group/cgroup.procs"
    exec unshare --cgroup --mount --uts --ipc --propagation private "$0" boot "$group" "$root" "$programs" "$plugins" "$unit" ;;
esac
mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/all"
mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" overlay "$root/all"
cd "$root/all"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
if [ -e proc/sysrq-trigger ]; then mount --bind /dev/null proc/sysrq-trigger; fi
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp var/tmp var/log var/lib/nginx var/cache dev; do
    if [ -d "$folder" ]; then mount -t tmpfs -o mode=755 tmpfs "$folder"; fi
done
mkdir -p dev/pts dev/shm var/log/nginx
for node in null zero full random urandom tty; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for program in standfast standfast-worker; do
    touch "usr/sbin/$program"
    mount --bind "$programs/$program" "usr/sbin/$program"
done
mkdir -p usr/lib/standfast/plugins
mount --bind "$plugins" usr/lib/standfast/plugins
rm -rf etc/systemd/system etc/fstab etc/standfast etc/nginx/nginx.conf
mkdir -p etc/systemd/system etc/standfast
cp "$unit" etc/systemd/system/standfast.service
for name in systemd-udevd.service systemd-udev-trigger.service systemd-networkd.service systemd-timesyncd.service \
    systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service systemd-random-seed.service \
    systemd-remount-fs.service systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service \
    systemd-sysusers.service systemd-firstboot.service systemd-machine-id-commit.service systemd-pstore.service \
    systemd-update-utmp.service systemd-journald-audit.socket keepalived.service modprobe@.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-mqueue.mount dev-hugepages.mount \
    sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
    ln -s /dev/null "etc/systemd/system/$name"
done
mkdir before
pivot_root . before
umount -l /before
# What would reach the machine is not its to do.
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-wake_alarm \
    env -i container=standfast-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=0 </dev/null
