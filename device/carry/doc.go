// Package carry brings check-ins from a gate without a network to the server, and
// receipts back, by hand: on a USB stick, or as codes that a screen shows one after
// the other.
//
//	door := carry.Door{Kiosk: id, Key: key, Queue: queue, Take: sender.Hand}
//	report, err := door.Visit(ctx, "/media/usb/qrgate") // receipts in, check-ins out
//
// The promise: nothing that a stick holds can harm the door, and nothing counts as
// delivered because it was written on one. What is written are the same signed
// batches as go by the link, sealed to the server's key, so a stick that is lost
// tells nobody who was where; only a verified receipt lets the kiosk forget.
//
// A folder holds for each kiosk two files, so one stick serves many gates:
//
//	KIOSK.batches    from the kiosk; written anew at each visit, whole or not at all
//	KIOSK.receipts   from the server; with them come the list of void cards and what
//	                 else a kiosk without a link lacks
//
// While the program of the door runs, it alone holds the outbox. It visits each
// stick that is put in ([Watch]), and serves the command line on a socket in its state
// directory ([Serve]), which opens no file for anybody: whoever asks gets the batches
// and gives the receipts.
//
// The format of both files is package deliver's; what the server does with them is
// its package ingest's.
package carry
