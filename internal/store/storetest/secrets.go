package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/store"
)

func (s *suite) secrets(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 5).UTC()
	b := store.Secret{Name: "B", Sealed: []byte{0, 1, 0xff}, ChangedAt: at}
	a := store.Secret{Name: "A", Sealed: []byte("one"), ChangedAt: at}
	for _, put := range []store.Secret{b, a} {
		if err := st.PutSecret(t.Context(), put); err != nil {
			t.Fatal(err)
		}
	}
	a.Sealed, a.ChangedAt = []byte("two"), at.Add(time.Second)
	if err := st.PutSecret(t.Context(), a); err != nil {
		t.Error(err)
	}
	list, err := st.ListSecrets(t.Context())
	if diff := cmp.Diff([]store.Secret{a, b}, list); diff != "" || err != nil {
		t.Errorf("%v; kept as (-want +got):\n%s", err, diff)
	}
	if got, err := st.Secret(t.Context(), "B"); err != nil || cmp.Diff(b, got) != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := st.DeleteSecret(t.Context(), "A"); err != nil {
		t.Error(err)
	}
	notFound(t, map[string]func() error{
		"DeleteSecret": func() error { return st.DeleteSecret(t.Context(), "A") },
		"Secret":       func() error { return errOf(st.Secret(t.Context(), "A")) },
	})
}
