package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (s *suite) jobTypes(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 5).UTC()
	b := store.JobType{Name: "b", Definition: json.RawMessage(`{"x": "<ä>"}`), ChangedAt: at}
	a := store.JobType{Name: "a", Definition: json.RawMessage(`{}`), ChangedAt: at}
	for _, put := range []store.JobType{b, a} {
		if err := st.PutJobType(t.Context(), put, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutJobType(t.Context(), store.JobType{Name: "a", Definition: json.RawMessage(`{"n":1}`)}, true); !errors.Is(err, store.ErrExists) {
		t.Errorf("creating one that is there: %v", err)
	}
	b.Definition = json.RawMessage(`{"y":2}`)
	if err := st.PutJobType(t.Context(), b, false); err != nil {
		t.Error(err)
	}
	list, err := st.ListJobTypes(t.Context())
	if diff := cmp.Diff([]store.JobType{a, b}, list); diff != "" || err != nil {
		t.Errorf("%v; kept as (-want +got):\n%s", err, diff)
	}
	if err := st.DeleteJobType(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	notFound(t, map[string]func() error{"DeleteJobType": func() error { return st.DeleteJobType(t.Context(), "a") }})
}

// A version is found by its digest, by the tag that it has, and by its number,
// which stays.
func (s *suite) versions(t *testing.T) {
	st := s.open(t)
	at := time.Unix(1700000000, 5).UTC()
	add := func(digest, tag string) store.Version {
		t.Helper()
		at = at.Add(time.Second)
		v := store.Version{Name: "t", Digest: digest, Tag: tag, Definition: json.RawMessage(`{"d":"` + digest + `"}`), BuiltAt: at, BuiltBy: "me", Log: "built " + digest}
		got, err := st.AddVersion(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	one := add("aaaaaaaaaaaa1111", "stable")
	two := add("aaaaaaaaaaaa2222", "")
	three := add("bbbbbbbbbbbb", "stable")
	again := add("aaaaaaaaaaaa2222", "v1")
	other, err := st.AddVersion(t.Context(), store.Version{Name: "u", Digest: "aaaaaaaaaaaa1111", Definition: json.RawMessage(`{}`), BuiltAt: at})
	if err != nil || other.Number != 1 || one.Number != 1 || two.Number != 2 || three.Number != 3 || again.Number != 2 || again.Tag != "v1" {
		t.Errorf("%v: %+v %+v %+v %+v %+v", err, one, two, three, again, other)
	}
	for ref, want := range map[string]string{"aaaaaaaaaaaa1": "aaaaaaaaaaaa1111", "aaaaaaaaaaaa2222": "aaaaaaaaaaaa2222", "stable": "bbbbbbbbbbbb", "v1": "aaaaaaaaaaaa2222", "v2": "aaaaaaaaaaaa2222", "v3": "bbbbbbbbbbbb",
		"v03": "", "v4": "", "": "", "c": "", "aaaaaaaaaaaa11112": "", "bbbb": "", "STABLE": "", "v-1": ""} {
		if got, err := st.Version(t.Context(), "t", ref); got.Digest != want || (err == nil) != (want != "") || got.Log != "" {
			t.Errorf("%q is %+v, %v", ref, got, err)
		}
	}
	if _, err := st.Version(t.Context(), "t", "aaaaaaaaaaaa"); job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "several") {
		t.Errorf("a digest that two begin with: %v", err)
	}
	if log, err := st.VersionLog(t.Context(), "t", "bbbbbbbbbbbb"); err != nil || log != "built bbbbbbbbbbbb" {
		t.Errorf("the log is %q, %v", log, err)
	}
	notFound(t, map[string]func() error{"VersionLog": func() error { return errOf(st.VersionLog(t.Context(), "t", "bbbb")) }})
	list, err := st.Versions(t.Context(), "t")
	var order []string
	for _, v := range list {
		order = append(order, fmt.Sprint(v.Number, v.Digest, v.Tag, v.Log))
	}
	if want := []string{"3bbbbbbbbbbbbstable", "2aaaaaaaaaaaa2222v1", "1aaaaaaaaaaaa1111"}; err != nil || !slices.Equal(order, want) {
		t.Errorf("%q, %v", order, err)
	}
	if none, err := st.Versions(t.Context(), "x"); err != nil || len(none) > 0 {
		t.Errorf("of what is not there: %v, %v", none, err)
	}
}

// Builds at once get numbers of their own, and equal ones are one version.
func (s *suite) versionsTogether(t *testing.T) {
	st := s.open(t)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			v := store.Version{Name: "t", Digest: fmt.Sprintf("%012d", i/2), Definition: json.RawMessage(`{}`)}
			if _, err := st.AddVersion(t.Context(), v); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := st.Versions(t.Context(), "t")
	if err != nil || len(list) != 6 || list[0].Number != 6 || list[5].Number != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
