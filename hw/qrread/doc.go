// Package qrread finds QR codes in grey camera frames and reads them.
//
// Its promise: Read ends within its deadline plus one attempt, whatever the
// picture shows, never panics, and returns only texts whose error correction
// held.
//
//	reader := qrread.New(qrread.Options{})
//	for {
//		frame, at, err := frames.Next(ctx)
//		...
//		for _, code := range reader.Read(frame) {
//			...
//		}
//	}
//
// What a text means is decided elsewhere. Where frames come from is decided in
// hw/camera. Frames are looked at one by one; nothing of a frame is kept but
// buffers that the next one overwrites.
package qrread
