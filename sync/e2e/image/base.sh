#!/bin/sh
# Makes the Debian that the image stands on, by mmdebstrap: one tar of the root, the
# kernel and the firmware of the boards unpacked beside it, and a list of what
# version each package has. Packages come once and stay in OUT/apt.
#
#     sync/e2e/image/base.sh OUT lamps|screen
#
# MIRROR is where Debian comes from; with a date of snapshot.debian.org in it the same
# packages come at any time. Needs Debian's packages mmdebstrap and qemu-user-static,
# and a user namespace in which it is root (debian.go makes one). Programs of the
# other architecture run by a binfmt_misc that is mounted in that namespace alone, so
# that the machine stays as it is.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd) variant=$2
: "${MIRROR=http://deb.debian.org/debian}" "${SECURITY=http://deb.debian.org/debian-security}"
: "${SOURCE_DATE_EPOCH=1764115200}"
export MIRROR SECURITY SOURCE_DATE_EPOCH

mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
echo ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF' > /proc/sys/fs/binfmt_misc/register

packages=systemd,systemd-sysv,systemd-timesyncd,udev,dbus,kmod,e2fsprogs,ca-certificates,iproute2,network-manager,wpasupplicant,wireless-regdb,polkitd,alsa-utils
[ "$variant" = lamps ] || packages=$packages,$(cat "$here/screen.packages")
mkdir -p "$out/apt" "$out/parts"
rm -rf "$out/parts/$variant"
mkdir -p "$out/parts/$variant"

# What is only downloaded and never installed: their scripts would build an initramfs
# and look for a board.
cat > "$out/parts/$variant/fetch" <<'HOOK'
set -eu
cd "$2"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends linux-image-arm64/trixie-backports | sed -n 's/.*Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
[ -n "$kernel" ]
apt-get -q download "$kernel/trixie-backports" raspi-firmware firmware-brcm80211
for d in *.deb; do dpkg-deb -f "$d" Package Version | sed 's/.*: //' | paste -sd ' '; done > fetched
for d in *.deb; do mkdir "${d%%_*}"; dpkg-deb -x "$d" "${d%%_*}"; rm "$d"; done
HOOK
mmdebstrap --mode=root --architectures=arm64 --variant=essential --skip=check/qemu \
  --include="$packages" --aptopt='Apt::Install-Recommends "false"' \
  --aptopt='Acquire::Retries "5"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' --dpkgopt='path-exclude=/usr/share/lintian/*' \
  --setup-hook='mkdir -p "$1/var/cache/apt/archives"; cp '"$out"'/apt/*.deb "$1/var/cache/apt/archives/" 2>/dev/null || true' \
  --essential-hook="copy-in $here/users.conf /tmp" \
  --customize-hook='chroot "$1" systemd-sysusers /tmp/users.conf; rm "$1/tmp/users.conf"' \
  --customize-hook='chroot "$1" dpkg-query -W -f "\${Package} \${Version}\n" > '"$out/parts/$variant/installed" \
  --customize-hook="sh $out/parts/$variant/fetch \"\$1\" $out/parts/$variant" \
  --customize-hook='cp "$1"/var/cache/apt/archives/*.deb '"$out"'/apt/ 2>/dev/null || true' \
  trixie "$out/parts/$variant/root.tar" \
  "deb $MIRROR trixie main non-free-firmware" "deb $MIRROR trixie-updates main non-free-firmware" \
  "deb $SECURITY trixie-security main non-free-firmware" "deb $MIRROR trixie-backports main non-free-firmware"
rm "$out/parts/$variant/fetch"
