# The first process of a machine: systemd in a root of its own, as container managers start it.
#   boot.sh NAME IMAGE FOLDER CGROUP
# FOLDER has upper/ and work/, which are laid over IMAGE, and root/. It is run in new namespaces of mounts, processes,
# host names and IPC; the network is the machine's below, so that each sshd has a port of its own.
set -eu
name=$1 image=$2 folder=$3 cgroup=$4
root=$folder/root
hostname "$name"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
# what it would set there is of the machine below
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
echo $$ >"$cgroup/cgroup.procs"
# in a namespace of control groups that begins here, systemd's are below this one
exec unshare --cgroup sh -euc '
	mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
	cd "$1"
	pivot_root . mnt
	umount --lazy /mnt
	exec chroot . env -i container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-level=warning
' sh "$root"
