// Package rights is the pages of data protection: what people ask for and by when
// it must be done, the handing over and the erasure of one person's data, who has
// looked at persons and why, what is held and what was dropped, whether the audit
// rows are whole, and the papers that the law asks for.
//
//	pages := rights.New(f, rights.Options{...})
//	routes := pages.Routes()
//
// A clerk takes a request, after looking at the person's papers, and tells people
// who has looked at their data; the data-protection officer answers, hands over and
// erases. So what somebody did is never seen by whoever took the request. A request is
// about one human under all that they are known as: see [retention.Keeper.Search] and
// [retention.Identities]. The page lists these before anything is handed over or
// erased, and says what cannot be found.
//
// The promise: nobody sees a person's data here without a row in the audit rows
// that says for which request, and no address holds anything of a person.
package rights
