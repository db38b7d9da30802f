package tako

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/takovm/tako/test/vectors"
)

// TestStreams runs the vectors that all clients share, the short ones a byte at a
// time, which is every cut.
func TestStreams(t *testing.T) {
	all, err := vectors.Read[vectors.Stream]("../../test/vectors/streams.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			var r io.Reader = iotest.OneByteReader(bytes.NewReader(x.Bytes))
			if x.Times > 0 {
				r = bytes.NewReader(bytes.Repeat(x.Bytes, x.Times))
			}
			s := &frames{r: bufio.NewReader(r)}
			got := []vectors.Frame{}
			f, err := s.next()
			for ; err == nil; f, err = s.next() {
				got = append(got, vectors.Frame{ID: f.id, Name: f.name, Data: f.data})
			}
			wanted := io.EOF
			if x.Error == "malformed" {
				wanted = errLongFrame
			}
			if !errors.Is(err, wanted) || !reflect.DeepEqual(got, x.Frames) {
				t.Fatalf("%+v, %v, want %+v, %v", got, err, x.Frames, wanted)
			}
		})
	}
}
