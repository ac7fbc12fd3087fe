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
// hw/camera. Frames are looked at one by one; nothing of a frame is kept but
// buffers that the next one overwrites.
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
// a good card held straight is read after the first.
//
// # What was measured
//
// Rendered frames, 216 with a code and 48 without one of each size, none of which
// gave a wrong text to any of the readers. The reader was made with those of seed
// 1; those of seed 5 it had not seen but for thresholds of the smoothed search,
// which were compared on both. Read in per cent, and the processor time of a
// frame in milliseconds on one core of a shared x86 server that was busy with
// other work: the times are good for comparing lines only.
//
//	                     read             ms a frame
//	                seed 1  seed 5   median   p95  mean  no code
//	640x480
//	  this package    94.4    92.6      8.0  33.1  12.7     18.9
//	  gozxing         50.5    40.3      3.4   6.3   3.0      3.8
//	  zbar 0.23       55.6    56.0
//	1280x720
//	  this package    96.3    94.9     13.8  50.9  20.1     33.3
//	  gozxing         45.4    46.8     10.0  18.5  10.4     12.2
//	  zbar 0.23       55.6    54.6
//
//	QRGATE_FRAMES=/path/to/frames go test -tags full -run '^$' -bench Frames -benchtime 1x -v ./hw/qrread
//
// (Times are those of seed 1; gozxing with TRY_HARDER. zbar ran as a program, so
// its time says nothing here.) Without a deadline, as there: with
// DefaultDeadline about one frame in forty at 640x480 would have been given up.
// No Raspberry Pi was measured.
//
// What is still lost are mostly faded prints and blur of more than a module, in
// which fewer than two finder patterns are found.
package qrread
