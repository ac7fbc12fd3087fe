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
// sampled in grey (sample.go), their blur is undone if need be, and codewords are
// corrected, the doubtful ones as erased (symbol.go, correct.go). The tables of
// versions and the parser of segments are gozxing's.
//
// Searches go from cheap to costly, and each adds to what those before it found:
// a good card held straight is read after the first, where the guess says it is.
//
// # What was measured
//
// Rendered frames, 216 with a code and 48 without one of each size, of which none
// gave a wrong text to any of the readers. The reader was made with those of seed
// 1 and compared on those of seeds 2, 5 and 7 when searches were dropped or
// thinned; nothing was set by them alone. Processor time of a frame in
// milliseconds on one core of a shared x86 server, the quicker of two rounds (as a
// video the mean of both), all in one run that other work disturbed: good for
// comparing lines only.
//
//	                      read          ms a frame, seed 1            no code
//	                  %, seed 1   median   p95   mean  no code    as a video
//	640x480
//	  this package        94.4      2.6   14.4    5.0      7.1           4.7
//	  zxing-cpp 1.4       60.2      1.8    3.2    1.9      2.1
//	  gozxing             50.5      2.3    3.9    2.5      2.7
//	  zbar 0.23           55.6
//	1280x720
//	  this package        95.8      6.0   30.1   10.4     16.8          12.7
//	  zxing-cpp 1.4       58.3      5.5   10.5    6.3      6.7
//	  gozxing             45.4      6.6   12.1    7.4      8.3
//	  zbar 0.23           55.6
//
//	QRGATE_FRAMES=/path/to/frames go test -tags full -run '^$' -bench Frames -benchtime 2x -v ./hw/qrread
//
// (gozxing with TRY_HARDER. zbar ran as a program, so its time says nothing here.
// The zxing-cpp of Debian 12 does not look for inverted codes.) A frame of ours
// makes 10 allocations on average. Without a deadline, as there; about one frame
// in a hundred at 640x480 takes longer than DefaultDeadline. Read of the frames of
// other seeds, at 640x480 and at 1280x720: 94.4 and 93.1 (seed 2), 93.1 and 94.0
// (5), 93.5 and 94.4 (7). No Raspberry Pi was measured.
//
// By condition, of 24 frames of both sizes of seed 1, ours and zxing-cpp's:
// nominal 24 22, far 24 20, tilt 23 17, rotation 24 22, motion 20 15, defocus 23
// 17, low light 21 16, glare 24 10, shadow 23 15, finger 24 18, worn 22 11, creased
// 23 13, curved 24 6, low contrast 18 2, moire 24 19, inverted 24 0, two cards 24
// 24, mixed 22 9.
//
// Short videos of 15 frames a second: of 24 cards (seed 2) 38 in a hundred were
// read within 300 ms of being wholly in view and 96 within a second; zxing-cpp,
// frame by frame, read 25 and 75.
//
//	QRGATE_SEQUENCES=/path/to/videos go test -tags full -run '^$' -bench Sequences -benchtime 1x ./hw/qrread
//
// Looking first where a code was nearly read in the frame before, and adding up
// what was nearly read in several frames, were tried on these videos and changed
// nothing: 271 of 576 frames were read with either, both or none.
//
// Photographs of ZXing's tests, ours and zxing-cpp's: qrcode-1 20 and 20 of 20,
// qrcode-3 42 and 39 of 42, qrcode-4 48 and 36 of 48; falsepositives-2 none of 25.
//
// What is still lost are mostly faded prints and blur of more than a module, in
// which fewer than two finder patterns are found.
package qrread
