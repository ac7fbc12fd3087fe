package intro

import (
	"bytes"
	"encoding/binary"
)

// orientation returns how a picture lies according to its Exif data, 1 to 8 as
// there, or 1 if it does not say.
func orientation(file []byte) int {
	if o := tiffOrientation(exifOf(file)); o >= 1 && o <= 8 {
		return o
	}
	return 1
}

// exifOf returns the TIFF structure with a file's Exif data, or nil.
func exifOf(file []byte) []byte {
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8")):
		return exifOfJPEG(file[2:])
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		return chunk(file[8:], "eXIf", binary.BigEndian, 4, 12, 0)
	case len(file) > 12 && string(file[:4]) == "RIFF" && string(file[8:12]) == "WEBP":
		// Some programs keep the marker of JPEG files here.
		return bytes.TrimPrefix(chunk(file[12:], "EXIF", binary.LittleEndian, 0, 8, 1), []byte("Exif\x00\x00"))
	}
	return nil
}

func exifOfJPEG(b []byte) []byte {
	const app1, startOfScan = 0xe1, 0xda
	for len(b) >= 4 && b[0] == 0xff {
		marker := b[1]
		if marker == 0xff { // fill
			b = b[1:]
			continue
		}
		size := int(binary.BigEndian.Uint16(b[2:]))
		if marker == startOfScan || size < 2 || 2+size > len(b) {
			return nil
		}
		if data, ok := bytes.CutPrefix(b[4:2+size], []byte("Exif\x00\x00")); ok && marker == app1 {
			return data
		}
		b = b[2+size:]
	}
	return nil
}

// chunk returns the data of the first chunk with this name. A chunk has around
// bytes besides its data, its name stands at the given place among the first
// eight and its length at the other; odd lengths are padded to multiples of
// pad + 1.
func chunk(b []byte, name string, order binary.ByteOrder, at, around, pad int) []byte {
	for len(b) >= around {
		size := int64(order.Uint32(b[4-at:]))
		if size > int64(len(b)-around) {
			return nil
		}
		if string(b[at:at+4]) == name {
			return b[8 : 8+size]
		}
		next := int64(around) + size + size%2*int64(pad)
		if next > int64(len(b)) {
			return nil
		}
		b = b[next:]
	}
	return nil
}

// tiffOrientation returns the orientation in the first directory of a TIFF
// structure, or 0.
func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(b[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 0
	}
	entries := int(order.Uint16(b[at:]))
	b = b[at+2:]
	const tag, short, entry = 0x0112, 3, 12
	for range entries {
		if len(b) < entry {
			return 0
		}
		if order.Uint16(b) == tag && order.Uint16(b[2:]) == short {
			return int(order.Uint16(b[8:]))
		}
		b = b[entry:]
	}
	return 0
}
