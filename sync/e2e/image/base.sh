#!/bin/sh
# Makes the Debian that the image stands on, by mmdebstrap: one tar of the root, the
# kernel and the firmware of the boards unpacked beside it, and lists of what version
# each package has.
#
#     sync/e2e/image/base.sh OUT lamps|screen arm64|armhf NAME
#
# What it makes lies in OUT/parts/NAME.
#
# MIRROR and SECURITY are where Debian comes from; with a date of snapshot.debian.org in
# them the same packages come at any time. SUITES are which parts of it count; without
# trixie-backports the kernel is trixie's own, which is enough for a Pi 2 and not for a
# Pi 5. Needs Debian's package mmdebstrap, and a user namespace in which it is root
# (debian.go makes one).
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
[ "$arch" = arm64 ] && newer=trixie-backports || newer=
: "${SUITES=trixie trixie-updates trixie-security $newer}"
export SOURCE_DATE_EPOCH

packages=systemd,systemd-sysv,systemd-timesyncd,udev,dbus,kmod,e2fsprogs,ca-certificates,iproute2,network-manager,wpasupplicant,wireless-regdb,polkitd,alsa-utils
[ "$variant" = lamps ] || packages=$packages,$(cat "$here/screen.packages")
kernel=linux-image-arm64 of=
[ "$arch" = arm64 ] || kernel=linux-image-armmp
for s in $SUITES; do
  from=$MIRROR
  [ "$s" != trixie-security ] || from=$SECURITY
  [ "$s" != trixie-backports ] || of=/$s
  set -- "$@" "deb $from $s main non-free-firmware"
done
shift 4
export kernel of
rm -rf "$parts"
mkdir -p "$parts"

# What is only downloaded and never installed: their scripts would build an initramfs
# and look for a board.
cat > "$parts/fetch" <<'HOOK'
set -eu
cd "$2"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
release=$(apt-cache depends "$kernel$of" | sed -n 's/.*Depends: linux-image-\([0-9].*\)$/\1/p' | head -1)
[ -n "$release" ]
# Newer kernels are three packages.
parts="binary modules base"
apt-cache show "linux-binary-$release" > /dev/null 2>&1 || parts=image
for p in $parts; do echo "linux-$p-$release$of"; done | xargs apt-get -q download raspi-firmware firmware-brcm80211
for d in *.deb; do dpkg-deb -f "$d" Package Version | sed 's/.*: //' | paste -sd ' '; done > fetched
mkdir unpacked
for d in *.deb; do dpkg-deb -x "$d" unpacked; rm "$d"; done
ls "$1/var/cache/apt/archives" | sed -n 's/_[^_]*\.deb$//p' | tr '_' ' ' | sed 's/%3a/:/' | LC_ALL=C sort > installed
HOOK
mmdebstrap --mode=root --architectures="$arch" --variant=extract --skip=check/qemu --skip=cleanup/apt \
  --include="$packages" --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
  --extract-hook="sh $parts/fetch \"\$1\" $parts" \
  trixie "$parts/new.tar" "$@"
mv "$parts/new.tar" "$parts/root.tar"
rm "$parts/fetch"
