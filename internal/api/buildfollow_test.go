package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// A build that is followed says what it does as it comes, and how it ended.
func TestFollowBuild(t *testing.T) {
	g := newRig(t)
	g.service.buildLog = "step 1\nstep 2 \xff\n"
	follow := func() string {
		t.Helper()
		w := g.expect(http.StatusOK, "POST", "/job-types/default/build?follow=true&version_tag=v1", "")
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
			t.Errorf("it is %s", got)
		}
		return w.Body.String()
	}
	got := follow()
	for _, want := range []string{
		"id: 1\nevent: log\ndata: {", `"text":"step 1\n"}`, "id: 2\nevent: log\n", `"text":"step 2 ` + "\ufffd" + `\n"}`,
		"id: 3\nevent: end\ndata: {", `"status":"built","job_type":"default","version":"default@sha256:0123456789ab"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	g.service.buildErr = job.Errorf(job.KindDependency, "no such package")
	if got := follow(); !strings.Contains(got, "event: error\n") || !strings.Contains(got, `"detail":"Build failed: no such package"`) || strings.Contains(got, "event: end") {
		t.Errorf("%s", got)
	}
	g.expect(http.StatusNotFound, "POST", "/job-types/none/build?follow=true", "")
}
