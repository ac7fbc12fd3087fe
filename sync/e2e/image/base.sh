#!/bin/sh
# Makes the Debian that the image stands on, by mmdebstrap: one tar of the root, the
# kernel and the firmware of the boards unpacked beside it, and lists of what version
# each package has.
#
#     sync/e2e/image/base.sh OUT lamps|screen arm64|armhf NAME
#
# What it makes lies in OUT/parts/NAME.
#
# MIRROR is where Debian comes from; with a date of snapshot.debian.org in it the same
# packages come at any time. Needs Debian's package mmdebstrap, and a user namespace in
# which it is root (debian.go makes one).
#
# Packages are unpacked and their scripts do not run: no program of the other
# architecture is needed, and nothing of this machine gets in. What the scripts would
# have done and a kiosk needs is done by settle.go.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
parts=$(cd "$1" && pwd)/parts/$4 variant=$2 arch=$3
: "${MIRROR=http://deb.debian.org/debian}" "${SECURITY=http://deb.debian.org/debian-security}"
: "${SOURCE_DATE_EPOCH=1764115200}"
export MIRROR SECURITY SOURCE_DATE_EPOCH

packages=systemd,systemd-sysv,systemd-timesyncd,udev,dbus,kmod,e2fsprogs,ca-certificates,iproute2,network-manager,wpasupplicant,wireless-regdb,polkitd,alsa-utils
[ "$variant" = lamps ] || packages=$packages,$(cat "$here/screen.packages")
kernel=linux-image-arm64
[ "$arch" = arm64 ] || kernel=linux-image-armmp
export kernel
rm -rf "$parts"
mkdir -p "$parts"

# What is only downloaded and never installed: their scripts would build an initramfs
# and look for a board.
cat > "$parts/fetch" <<'HOOK'
set -eu
cd "$2"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
release=$(apt-cache depends "$kernel/trixie-backports" | sed -n 's/.*Depends: linux-image-\([0-9].*\)$/\1/p' | head -1)
[ -n "$release" ]
for p in binary modules base; do echo "linux-$p-$release/trixie-backports"; done | xargs apt-get -q download raspi-firmware firmware-brcm80211
for d in *.deb; do dpkg-deb -f "$d" Package Version | sed 's/.*: //' | paste -sd ' '; done > fetched
mkdir unpacked
for d in *.deb; do dpkg-deb -x "$d" unpacked; rm "$d"; done
ls "$1/var/cache/apt/archives" | sed -n 's/_[^_]*\.deb$//p' | tr '_' ' ' | sed 's/%3a/:/' | LC_ALL=C sort > installed
HOOK
mmdebstrap --mode=root --architectures="$arch" --variant=extract --skip=check/qemu --skip=cleanup/apt \
  --include="$packages" --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
  --extract-hook="sh $parts/fetch \"\$1\" $parts" \
  trixie "$parts/root.tar" \
  "deb $MIRROR trixie main non-free-firmware" "deb $MIRROR trixie-updates main non-free-firmware" \
  "deb $SECURITY trixie-security main non-free-firmware" "deb $MIRROR trixie-backports main non-free-firmware"
rm "$parts/fetch"
