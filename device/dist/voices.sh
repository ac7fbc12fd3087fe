#!/bin/sh
# Renders what a kiosk says, from the words of the catalogue, into sounds/: PCM
# WAV, 16 kHz, mono, 8 bits, without silence at either end. It needs Debian's
# espeak-ng and sox. sounds/LINES.txt says which file says what; a test compares
# it with the catalogue.
#
#	device/dist/voices.sh
#
# A recording of a human voice is better: put it under the same name into the
# directory that [screen] voices of the kiosk's configuration names.
set -eu
cd "$(dirname "$0")"
words=../../sync/words/vi.txt
out=sounds
mkdir -p "$out"
: >"$out/LINES.txt"

text() { sed -n "s/^$1 = //p" "$words"; }

say() { # name, text
	echo "$1.wav = $2" >>"$out/LINES.txt"
	espeak-ng -v vi-vn-x-central -s 155 -a 170 -w "$out/$1.tmp.wav" "$2"
	sox "$out/$1.tmp.wav" -r 16000 -c 1 -b 8 -e unsigned-integer -R "$out/$1.wav" \
		silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse norm -1
	rm "$out/$1.tmp.wav"
}

sentence() { # name, key
	say "$1" "$(text "$2" | sed 's/[.!?]*$/./') $(text "$2.do")"
}

for s in admitted leaving again refused amber full wrong_lane fault locked ordered here; do
	sentence "$s" "state.$s"
done
for r in unknown malformed signature key not_yet expired revoked poster kind stale_list event tries used kiosk order repeated; do
	sentence "reason.$r" "reason.$r"
done
for s in typed.wrong phone.wrong phone.wait bring.first; do
	sentence "$s" "$s"
done
say test.pass "$(text test.pass)"
for n in 1 2 3 4 5; do
	say "brought.$n" "$(text bring.done | sed "s/{count}/$n/")"
done

# What is said at a first start, from its own catalogue.
words=../../sync/guide/vi.txt
out=start
mkdir -p "$out"
: >"$out/LINES.txt"
for s in language network enrol scanner lamps sound voice direction.in direction.out ready; do
	sentence "step.$s" "step.$s"
done
sentence awaited awaited
for a in lamps sound voice; do
	sentence "advice.$a" "advice.$a"
done
for t in cable wifi scanner server clock code file disk; do
	sentence "trouble.$t" "trouble.$t"
done
du -cb sounds/*.wav start/*.wav | tail -1
