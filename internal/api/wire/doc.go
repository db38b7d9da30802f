// Package wire is what goes over HTTP: the answers of the API, with the requests
// as a client writes them. It is for the server and for clients. Domain types are
// in package job; New functions turn them into these. Every key of an answer is
// always there, null where there is nothing to say.
package wire

import (
	"fmt"
	"time"
)

// Time is a time as Python's isoformat writes it: microseconds if there are any,
// and an offset.
type Time struct{ time.Time }

// MarshalJSON writes "2026-08-12T10:30:00.123456+00:00".
func (t Time) MarshalJSON() ([]byte, error) {
	layout := "2006-01-02T15:04:05.000000-07:00"
	u := t.UTC().Truncate(time.Microsecond)
	if u.Nanosecond() == 0 {
		layout = "2006-01-02T15:04:05-07:00"
	}
	return []byte(`"` + u.Format(layout) + `"`), nil
}

// UnmarshalJSON takes any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	parsed, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(b))
	if err != nil {
		return fmt.Errorf("reading a time: %w", err)
	}
	t.Time = parsed
	return nil
}

// NewTime answers nil for the zero time.
func NewTime(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// ZTime is a time as pydantic writes it: with Z for UTC.
type ZTime struct{ time.Time }

// MarshalJSON writes "2026-08-12T10:30:00.123456Z".
func (t ZTime) MarshalJSON() ([]byte, error) {
	layout := "2006-01-02T15:04:05.000000Z07:00"
	u := t.UTC().Truncate(time.Microsecond)
	if u.Nanosecond() == 0 {
		layout = time.RFC3339
	}
	return []byte(`"` + u.Format(layout) + `"`), nil
}

// UnmarshalJSON takes any RFC 3339 time.
func (t *ZTime) UnmarshalJSON(b []byte) error { return (*Time)(t).UnmarshalJSON(b) }

// OrNil answers nil for the zero value.
func OrNil[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// list answers an empty list for nil, so that JSON has [] and not null.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// dict answers an empty map for nil.
func dict[V any](v map[string]V) map[string]V {
	if v == nil {
		return map[string]V{}
	}
	return v
}
