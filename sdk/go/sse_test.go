package tako

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"
	"testing/iotest"
)

// TestStreams runs the vectors that all clients share, a byte at a time, which is
// every cut.
func TestStreams(t *testing.T) {
	text, err := os.ReadFile("../../test/vectors/streams.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name   string
		Bytes  []byte `json:"bytes_base64"`
		Frames []struct{ ID, Name, Data string }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			s := &frames{r: bufio.NewReader(iotest.OneByteReader(bytes.NewReader(x.Bytes)))}
			var want, got []frame
			for _, f := range x.Frames {
				want = append(want, frame{id: f.ID, name: f.Name, data: f.Data})
			}
			f, err := s.next()
			for ; err == nil; f, err = s.next() {
				got = append(got, f)
			}
			if !errors.Is(err, io.EOF) || !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v, %v, want %+v", got, err, want)
			}
		})
	}
}
