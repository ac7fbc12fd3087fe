#!/bin/sh
# Puts the kernel of the twin into a directory: Debian's own, unpacked, with the
# modules that show devices as a door has them. Nothing is installed and nothing needs
# root. Two modules that Debian does not build on this machine's architecture, lines of
# a GPIO chip that nobody has and the driver of the DS3231, are built from Debian's
# source of the same kernel.
#
#     sync/e2e/twin/kernel.sh build/twin
#
# Needs apt-get download, xz-utils, kmod, make and the compiler that Debian built the
# kernel with. Run again it keeps what it has.
set -eu
dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*-amd64\)$/\1/p' | head -1)
release=${image#linux-image-}
[ -n "$release" ] || { echo 'kernel.sh: apt knows no linux-image-amd64; run apt-get update' >&2; exit 1; }
[ "$(cat "$dir/release" 2>/dev/null)" = "$release" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
series=$(echo "$release" | cut -d. -f1,2)
common=linux-headers-${release%-amd64}-common
cd "$work"
apt-get -q download "$image" "linux-headers-$release" "$common" "linux-kbuild-$series" "linux-source-$series"
for p in "${image}_" "linux-headers-${release}_" "${common}_" "linux-kbuild-${series}_"; do
  dpkg-deb -x ./"$p"*.deb root
done

# The kernel inside vmlinuz is an ELF file, packed by xz, that qemu starts at once: half
# of the time of a boot goes into unpacking it.
headers=root/usr/src/linux-headers-$release
packed=root/boot/vmlinuz-$release
at=$(LC_ALL=C grep -aboP '\xFD7zXZ\x00' "$packed" | head -1 | cut -d: -f1)
tail -c +$((at + 1)) "$packed" | xz -dc --single-stream > vmlinux 2>/dev/null || [ -s vmlinux ]

source=linux-source-$series
dpkg-deb --fsys-tarfile ./"$source"_*.deb 2>/dev/null | tar -xO ./usr/src/"$source".tar.xz | xz -dc -T0 2>/dev/null |
  tar -x --occurrence=1 "$source"/drivers/gpio/gpio-sim.c "$source"/drivers/gpio/gpiolib.h "$source"/kernel/irq/irq_sim.c \
    "$source"/drivers/rtc/rtc-ds1307.c || true
mkdir modules
cp "$source"/drivers/gpio/gpio-sim.c "$source"/drivers/gpio/gpiolib.h "$source"/kernel/irq/irq_sim.c "$source"/drivers/rtc/rtc-ds1307.c modules
# The simulated interrupts are part of the kernel where it has them, and the function
# by which they call a handler is not for modules; generic_handle_irq does the same.
sed -i 's/handle_simple_irq(irq_to_desc(\([a-z]*\)))/generic_handle_irq(\1)/; s/^EXPORT_SYMBOL_GPL.*//' modules/irq_sim.c
mv modules/gpio-sim.c modules/gpio-sim-main.c
cat > modules/Makefile <<'MAKE'
obj-m := gpio-sim.o rtc-ds1307.o
gpio-sim-y := gpio-sim-main.o irq_sim.o
ccflags-y := -DCONFIG_IRQ_SIM=1 -w
MAKE
sed -i "s|^include /usr|include $work/root/usr|" "$headers"/Makefile
make -s -C "$headers" M="$work"/modules modules >&2

rm -rf "$dir"/modules
mv "root/lib/modules/$release" "$dir"/modules
mkdir -p "$dir"/modules/twin
cp modules/*.ko "$dir"/modules/twin
mkdir -p lib/modules
ln -s "$dir"/modules lib/modules/"$release"
depmod -b "$work" "$release"
cp vmlinux "$dir"/vmlinux
echo "$release" > "$dir"/release
