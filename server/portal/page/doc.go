// Package page is what every page of the portal has: the shell around it, its
// words, forms, errors, who is looking and what they may see.
//
//	f := page.New(page.Options{Register: reg, HelpLine: "19001075"})
//	f.Add(templates) // embedded files pages/*.html of a package with pages
//	handler := f.Handler([]page.Route{
//		{Pattern: "GET /dia-diem", Allow: page.Only(qrgate.Owner), Menu: "menu.places", Handler: places.List},
//	})
//
// A template NAME.html defines "title" and "main", which gets a [View] whose Data
// is what [View.Render] was given. It may use
//
//	{{t "key" "name" value}}   a text in the reader's language, see package text
//	{{other "key"}}            the same in the other language
//	{{asset "portal.css"}}     the address of a file that pages load
//	{{number n}} {{date t}} {{clock t}}
//	{{template "input" (field .Data.Form "name" "text" "required" "autocomplete=name")}}
//
// and the parts in parts.html. A handler returns an error for whatever it cannot
// answer; [Frame] alone turns errors into a status and a sentence.
//
// The promise: no handler runs for somebody whom its route does not allow, every
// page works without script and loads nothing from elsewhere, a form from another
// site is refused, and whatever comes in has a clear answer.
//
// Which pages there are is package portal's table.
package page
