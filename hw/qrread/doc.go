// Package qrread finds QR codes in grey camera frames and reads them.
//
// Its promise: Read ends within its deadline plus one search or attempt,
// whatever the picture shows, never panics, and returns only texts whose error
// correction held.
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
// hw/camera. Nothing of a frame is kept but buffers that the next one overwrites
// and, with Options.Video, how much was tried in vain. [Reader.Hint] tells who holds
// up a card why it is not read, [Reader.Explain] an installer.
//
// # How a code is read
//
// Finder patterns are found where grey turns along lines, dark on light and
// light on dark in one go (edges.go, find.go). Three of them, or two and a
// supposed third, are a guess (group.go). Its version and its pose are the ones
// under which the modules of known colour fit the picture best; a symbol that
// fits but cannot be read flat is tried as bent paper (pose.go). Modules are
// sampled in grey, between pixels, so that far codes need no larger copy of the frame
// (sample.go), their blur is undone if need be, and codewords are corrected, the
// doubtful ones as erased (symbol.go, correct.go). The tables of versions and the
// parser of segments are gozxing's.
//
// Searches go from cheap to costly, and each adds to what those before it found:
// a good card held straight is read after the first, where the guess says it is.
//
// # What was measured
//
// Rendered frames, 216 with a code and 48 without one of each size and seed, of
// which none gave a wrong text to any of the readers. The reader was made with
// those of seed 1; what was lost of seeds 1, 2, 3, 5 and 7 showed what to mend, one
// constant was chosen on faded prints of seeds 1 to 8, and 9 and 41 to 46 were only
// read. Processor time of a frame in milliseconds on one core of a shared x86 server,
// the quicker of two rounds (as a video the mean of both), all in one run that other
// work disturbed: good for comparing lines only.
//
//	                          read          ms a frame, seed 1            no code
//	                      %, seed 1   median   p95   mean  no code    as a video
//	    640x480
//	      this package        96.3      2.4   14.5    4.4      5.4           4.1
//	      zxing-cpp 1.4       60.2      1.6    3.0    1.8      2.0
//	      gozxing             50.5      2.2    3.9    2.4      2.6
//	      zbar 0.23           55.6
//	    1280x720
//	      this package        96.8      4.5   20.6    7.3     13.7           9.1
//	      zxing-cpp 1.4       58.3      5.7   10.9    6.6      6.9
//	      gozxing             45.4      6.4   12.0    7.3      8.1
//	      zbar 0.23           55.6
//
//	QRGATE_FRAMES=/path/to/frames go test -tags full -run '^$' -bench Frames -benchtime 2x -v ./hw/qrread
//
// (gozxing with TRY_HARDER. zbar ran as a program, so its time says nothing here.
// The zxing-cpp of Debian 12 does not look for inverted codes.) A committed
// frame makes 9 allocations on average, an empty one none. Without a deadline, as
// there; about one frame in two hundred at 640x480 takes longer than
// [DefaultDeadline]. Read of the frames of seeds 2 to 9: 94.0 to 97.2, on average
// 95.5, at 640x480, and 94.0 to 96.8, on average 95.5, at 1280x720; of seed 41 and
// every fifth frame of seeds 42 to 46, which nobody had looked at, 421 of 436 (96.6)
// and 414 of 431 (96.1), and none of their 191 frames without a code. No Raspberry Pi
// was measured.
//
// By condition, in percent of 216 frames of both sizes and seeds 1 to 9: nominal,
// finger, curved, moire, two cards 100, far, inverted 99.5, rotation 99, low light
// 98, creased, shadow 97, defocus 96, worn 94, glare, tilt 93, low contrast 89,
// mixed 86, motion 81.
//
// Short videos of 15 frames a second: of 24 cards (seed 2) 38 in a hundred were
// read within 300 ms of being wholly in view and 96 within a second; zxing-cpp,
// frame by frame, read 25 and 75.
//
//	QRGATE_SEQUENCES=/path/to/videos go test -tags full -run '^$' -bench Sequences -benchtime 1x ./hw/qrread
//
// Looking first where a code was nearly read in the frame before, and adding up
// what was nearly read in several frames, were tried on these videos and changed
// nothing: with an earlier reader 271 of 576 frames were read with either, both or
// none.
//
// Photographs of ZXing's tests, ours and zxing-cpp's: qrcode-1 20 and 20 of 20,
// qrcode-3 42 and 39 of 42, qrcode-4 48 and 36 of 48; falsepositives-2 none of 25.
//
// What is still lost are mostly smears of nearly two modules, in which no finder
// pattern is left along the way of the hand.
package qrread
