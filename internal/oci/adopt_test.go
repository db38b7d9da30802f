package oci

import (
	"os"
	"testing"

	"github.com/takovm/tako/internal/job"
)

func TestAdopt(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	theirs, ours := storeIn(t, t.TempDir(), Limits{}), storeIn(t, t.TempDir(), Limits{})
	reference := h.push(plainImage(t), "tools", "1")
	image, err := theirs.Pull(t.Context(), reference, anonymous())
	must(t, err)
	adopted, err := ours.Adopt(t.Context(), theirs, reference)
	must(t, err)
	env, err := ours.Find(reference)
	must(t, err)
	if adopted.Digest != image.Digest || env.Digest != image.Digest || env.Image == image.Environment.Image {
		t.Errorf("adopted %s as %+v", image.Digest, env)
	}
	one, err := os.Stat(env.Image)
	must(t, err)
	other, err := os.Stat(image.Environment.Image)
	must(t, err)
	if !os.SameFile(one, other) {
		t.Error("it was copied, on one file system")
	}

	// Each store's own: what one removes stays with the other, and again is no matter.
	_, err = ours.Adopt(t.Context(), theirs, reference)
	must(t, err)
	// Of itself nothing is taken: its blobs stay known.
	same, err := theirs.Adopt(t.Context(), theirs, reference)
	if err != nil || len(same.Blobs) != len(image.Blobs) {
		t.Errorf("of itself: %+v, %v", same, err)
	}
	_, err = theirs.Remove(t.Context(), reference)
	must(t, err)
	if _, err := ours.Find(reference); err != nil {
		t.Errorf("it is gone here, too: %v", err)
	}
	_, err = ours.Remove(t.Context(), reference)
	must(t, err)
	if _, err := os.Stat(env.Image); err == nil {
		t.Error("its environment is still there")
	}
	for _, of := range []string{reference, "nowhere:1"} {
		_, err = ours.Adopt(t.Context(), theirs, of)
		wantKind(t, err, job.KindNotFound, "is not here")
	}
}

// One whose environment is gone says how to make it again, and leaves nothing.
func TestAdoptWithoutEnvironment(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	theirs, ours := storeIn(t, t.TempDir(), Limits{}), storeIn(t, t.TempDir(), Limits{})
	reference := h.push(plainImage(t), "tools", "1")
	image, err := theirs.Pull(t.Context(), reference, anonymous())
	must(t, err)
	must(t, os.Remove(image.Environment.Image))
	_, err = ours.Adopt(t.Context(), theirs, reference)
	wantKind(t, err, job.KindNotFound, "tako env pull")
	if _, err := ours.Show(reference); err == nil {
		t.Error("it has a record")
	}
}
