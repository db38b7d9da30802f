package tako_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	tako "github.com/takovm/tako/sdk/go"
	"github.com/takovm/tako/test/vectors"
)

// TestReconnects runs the vectors of connections that break.
func TestReconnects(t *testing.T) {
	all, err := vectors.Read[vectors.Reconnect]("../../test/vectors/reconnects.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			t.Parallel() // they pause between two connections
			reconnect(t, x)
		})
	}
}

func reconnect(t *testing.T, x vectors.Reconnect) {
	var mu sync.Mutex
	left := x.Connections
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if len(left) == 0 {
			t.Errorf("one request too many: %s", r.URL)
			w.WriteHeader(http.StatusNotFound)
			return
		}
		now := left[0]
		left = left[1:]
		compare(t, r, now.Request)
		reply(w, now.Answer)
	}))
	defer s.Close()
	c, err := tako.New(s.URL, tako.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := []vectors.Seen{}
	var last error
	for e, err := range c.Events(t.Context(), x.Args.ID, tako.EventsOptions{After: x.Args.After, Stored: x.Args.Follow != nil && !*x.Args.Follow}) {
		if last = err; err != nil {
			break
		}
		seen := vectors.Seen{ID: e.ID, Type: string(e.Type)}
		if e.Type == tako.EventStdout || e.Type == tako.EventStderr {
			text, err := e.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			seen.Text = string(text)
		}
		got = append(got, seen)
	}
	if diff := cmp.Diff(x.Events, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(left) > 0 {
		t.Errorf("%d requests were not made", len(left))
	}
	switch {
	case x.Error != nil:
		compareError(t, last, x.Error, x.Connections[len(x.Connections)-1].Answer)
	case last != nil:
		t.Error(last)
	}
}
