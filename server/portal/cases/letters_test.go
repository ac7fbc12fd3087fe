package cases_test

import "testing"

// While letters are written another officer calls one of those who get them: the others
// have their letters, and who was called meanwhile is not said to have one.
func TestLettersWhileAnotherCalls(t *testing.T) {
	w := newWorld(t)
	lan := w.as("lan")
	at := lan.traced()
	w.exec(`CREATE TRIGGER busy AFTER UPDATE ON case_calls WHEN NEW.status = 'notified'
		BEGIN UPDATE case_calls SET version = version + 1 WHERE status = 'to_call'; END`)
	if a := lan.want(200, lan.post(at+"/thu", nil)); pages(a) != 1 {
		t.Errorf("%d letters, want one: the other was called", pages(a))
	}
	w.exec("DROP TRIGGER busy")
	if a := lan.want(200, lan.post(at+"/thu", nil)); pages(a) != 1 {
		t.Errorf("%d letters, want that of who was called and not reached", pages(a))
	}
}
