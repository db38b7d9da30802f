package main

import (
	"os/exec"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

func TestOverheadOfTheClient(t *testing.T) {
	c := newClient([]float64{1, 2, 3}, []float64{2, 4, 6}, []float64{9, 5, 1})
	if c.OverHTTPXMS != 1 || c.OverHTTPClientMS != 3 || c.ClientMS.P50 != 5 || c.ClientMS.Max != 9 {
		t.Errorf("got %+v", c)
	}
}

// The program and the package work together; times are not asserted.
func TestClientQuick(t *testing.T) {
	takotest.RequireRoot(t) // an ordinary user has no limits in strict mode
	if takotest.Cgroups(t) == nil {
		t.Skip("needs cgroups")
	}
	if err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import httpx").Run(); err != nil {
		t.Skip("needs httpx: scripts/setup.sh httpx")
	}
	var r report
	quick(t, "client", &r)
	if r.Client == nil || r.Client.HTTPX == "" || r.Client.ClientMS.P50 <= 0 || r.Client.HTTPXMS.P50 <= 0 || r.Client.HTTPClientMS.P50 <= 0 {
		t.Errorf("got %+v", r.Client)
	}
}
