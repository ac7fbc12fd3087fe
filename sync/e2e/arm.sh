#!/bin/sh
# Runs tests as a board's processor would, by qemu's emulation of it.
#
#     sync/e2e/arm.sh arm64|armv7|armv6 [FLAG...] PACKAGE...
#
# Some tests start themselves once more, as the program of a camera or as one whose
# power is cut: for those the kernel is told, in a namespace that ends with this, that
# programs of that processor are qemu's to run. Needs qemu-user, and Linux 6.7, the
# first that lets a namespace have such a list of its own.
set -eu
case ${1-} in
arm64) qemu=qemu-aarch64 class=2 machine=b7; export GOARCH=arm64 ;;
armv7) qemu=qemu-arm class=1 machine=28; export GOARCH=arm GOARM=7 ;;
armv6) qemu=qemu-arm class=1 machine=28; export GOARCH=arm GOARM=6 QEMU_CPU=arm1176 ;;
*) sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
path=$(command -v $qemu) || { echo "arm.sh: $qemu is missing: apt-get install qemu-user" >&2; exit 1; }

formats=/proc/sys/fs/binfmt_misc
if [ -z "${QRGATE_ARM-}" ]; then
  QRGATE_ARM=$1 exec unshare --user --map-root-user --mount "$0" "$@"
fi
shift
mount -t binfmt_misc binfmt_misc $formats
# The first bytes of a program: an ELF of that class, to be executed, for that machine.
printf '%s' ":$qemu:M::\x7fELF\x0$class\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x$machine\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$path:F" > $formats/register

export CGO_ENABLED=0
exec go test -exec "$qemu ${QEMU_CPU:+-cpu $QEMU_CPU}" "$@"
