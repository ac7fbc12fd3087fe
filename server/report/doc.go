// Package report counts how far the places of a province have come and what may
// be told of it: the funnel from being listed to being in use, targets, how many
// people checked in, and the charts and documents that say so.
//
//	s := report.Survey{Moments: []qrgate.Day{today}, Places: facts}
//	f := s.Funnel(0, nil)                         // f.At(report.Printed) places
//	n := report.Total(cells, nil)                 // n.Text(page.Number[int64]): "1.240", "<10"
//	svg := report.FunnelChart(bars, words).SVG()
//
// The promise: a funnel never widens, and no number of people that is published
// depends on one below [Fewest]: whatever is added up, in whichever tables, over
// whichever areas and days, is made of counts that are published themselves.
//
// All of it is pure. Where facts come from is package store/progress's matter,
// words are those of the caller, and package print sets a [Document] in pages.
package report
