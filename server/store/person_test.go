package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

func identityOf(n int) (id [16]byte) {
	copy(id[:], fmt.Sprintf("identity %d", n))
	return id
}

func TestPerson(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		ask := func(in *store.Intake, n int, fresh qrgate.Person, want qrgate.Person, wantNew bool) {
			t.Helper()
			got, isNew, err := in.Person(identityOf(n), func() qrgate.Person { return fresh })
			if got != want || isNew != wantNew || err != nil {
				t.Errorf("Person(%d) = %d, %v, %v, want %d, %v", n, got, isNew, err, want, wantNew)
			}
		}
		const high = qrgate.Person(1<<64 - 5)
		err := s.Intake(context.Background(), nil, func(in *store.Intake) error {
			ask(in, 1, high, high, true)
			ask(in, 1, 11, high, false)
			ask(in, 2, 12, 12, true)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = open(t, dsn).Intake(context.Background(), nil, func(in *store.Intake) error {
			ask(in, 2, 13, 12, false)
			if err := in.Expect([][16]byte{identityOf(1), identityOf(2), identityOf(3)}); err != nil {
				return err
			}
			ask(in, 1, 14, high, false)
			ask(in, 3, 15, 15, true)
			ask(in, 3, 16, 15, false)
			return in.Expect(nil)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Whoever is seen first by two servers at once is one person, and the rows of
// both servers say so.
func TestPersonByTwoServersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		const rounds, people = 20, 50
		var next atomic.Uint64
		var tasks errgroup.Group
		found := make([][]qrgate.Person, 2)
		details := make([]int, 2)
		for i := range found {
			s := open(t, dsn)
			tasks.Go(func() error {
				for round := range rounds {
					var got []qrgate.Person
					var detailed int
					err := s.Intake(context.Background(), nil, func(in *store.Intake) error {
						got, detailed = nil, 0
						for n := range people {
							if i == 1 {
								n = people - 1 - n // each in its own order
							}
							p, isNew, err := in.Person(identityOf(round*people+n), func() qrgate.Person { return qrgate.Person(next.Add(1)) })
							if err != nil {
								return err
							}
							if isNew {
								detailed++
								if err := in.Detail(p, []byte("wrapped"), []byte("sealed")); err != nil {
									return err
								}
							}
							got = append(got, p)
						}
						return nil
					})
					if err != nil {
						return fmt.Errorf("server %d, round %d: %w", i, round, err)
					}
					if i == 1 {
						for a, b := 0, len(got)-1; a < b; a, b = a+1, b-1 {
							got[a], got[b] = got[b], got[a]
						}
					}
					found[i] = append(found[i], got...)
					details[i] += detailed
				}
				return nil
			})
		}
		if err := tasks.Wait(); err != nil {
			t.Fatal(err)
		}
		for n := range rounds * people {
			if found[0][n] != found[1][n] {
				t.Errorf("identity %d is person %d on one server, %d on the other", n, found[0][n], found[1][n])
			}
		}
		if details[0]+details[1] != rounds*people {
			t.Errorf("%d + %d persons were new, want %d together", details[0], details[1], rounds*people)
		}
		for _, table := range []string{"identities", "people", "details"} {
			var n int
			if err := raw(t, dsn).QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil || n != rounds*people {
				t.Errorf("%s has %d rows, %v, want %d", table, n, err, rounds*people)
			}
		}
	})
}

func TestDetail(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s := open(t, dsn)
		err := s.Intake(context.Background(), nil, func(in *store.Intake) error {
			return in.Detail(1<<63+7, []byte("wrapped key"), []byte("sealed detail"))
		})
		if err != nil {
			t.Fatal(err)
		}
		var person int64
		var wrapped, sealed string
		err = raw(t, dsn).QueryRow("SELECT p.person, p.wrapped, d.sealed FROM people p JOIN details d ON d.person = p.person").Scan(&person, &wrapped, &sealed)
		if err != nil || uint64(person) != 1<<63+7 || wrapped != "wrapped key" || sealed != "sealed detail" {
			t.Errorf("stored person %d, %q, %q, %v", uint64(person), wrapped, sealed, err)
		}
		// A person gets one key, or what the first sealed would be lost.
		err = s.Intake(context.Background(), nil, func(in *store.Intake) error {
			return in.Detail(1<<63+7, []byte("another key"), []byte("another detail"))
		})
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second key for one person: %v, want an error", err)
		}
	})
}
