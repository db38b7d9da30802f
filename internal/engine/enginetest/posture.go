package enginetest

import (
	_ "embed"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/engine"
)

// postureProbe reads a sandbox from inside; postureWanted is what it has to
// find, as data. A change of posture is a change of that file.
var (
	//go:embed posture.py
	postureProbe string
	//go:embed posture.json
	postureWanted []byte
)

// posture reads a live sandbox as user code and compares.
func (s *suite) posture(t *testing.T) {
	_, sb := s.start(t)
	comparePosture(t, sb)
}

// postureRestored compares a sandbox that comes out of a snapshot.
func (s *suite) postureRestored(t *testing.T) {
	e, sb := s.start(t)
	greet(t, sb)
	snapshot, err := sb.Checkpoint(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	comparePosture(t, s.restored(t, e, snapshot))
}

func comparePosture(t *testing.T, sb engine.Sandbox) {
	t.Helper()
	printed := python(t, greet(t, sb), postureProbe)
	var got, want map[string]any
	if err := json.Unmarshal([]byte(printed), &got); err != nil {
		t.Fatalf("the probe printed %q: %v", printed, err)
	}
	if err := json.Unmarshal(postureWanted, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("posture (-want +got):\n%s", diff)
	}
}
