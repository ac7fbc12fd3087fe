// Package print draws what is put on walls and into hands: the poster of a
// place as wall poster, table stand, sign for a post and sticker, people's cards,
// one or thousands, letters to people, and departments' reports.
//
//	err := print.Poster(w, print.PDF, print.Sheet{
//		Kind: print.PosterA4, URL: "https://qr.example.vn/p/AAADAOM2-3",
//		Place: "Chợ Đông Ba", Code: "AAADAOM2-3", Version: 3, Printed: now,
//		...
//	})
//	err := print.Cards(w, print.Deck{Layout: print.CardDuplex, ...}, cards)
//	err := print.Notices(w, print.Letters{Office: "...", ...}, letters)
//	err := print.Report(w, document) // of package report
//
// Its promise: what it draws can be read. A poster's code is black on white at
// error correction level H, with its quiet zone, and is read with 15 per cent of
// its area covered; the tests read every kind in every format back with readers
// that know nothing of this package. Texts stay in their boxes whatever they
// hold: they are set smaller first and cut with an ellipsis last; letters that the
// font does not have become a dot.
//
// A poster is laid out once, in millimetres, on a canvas of shapes, lines of
// text and an emblem (canvas.go). PDF, SVG and PNG are written from that canvas,
// so that they differ in nothing but the format. PDF holds text as text; SVG
// holds outlines, and the words as labels.
//
// Cards are laid out on the same canvas. Their PDF is written sheet by sheet
// (card_pdf.go), so that ten thousand take no more memory than ten; their sides fit
// whichever way the sheet is turned over, and marks outside of them say where to
// cut.
//
// A report flows over as many pages as it needs (report.go), in the layout of an
// official letter; its charts are the shapes that pages show as SVG.
//
// What it leaves out: which poster somebody may print and when one must be
// printed again, and bleed: no colour reaches an edge, as the printers at hand
// cannot print there. Letters are not kerned.
package print
