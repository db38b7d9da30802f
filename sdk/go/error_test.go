package tako

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// Every status that the server's own description has is a kind of error, and
// not the one for answers that no Tako server gives.
func TestKinds(t *testing.T) {
	document, err := os.ReadFile("../../internal/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Those that the server has without saying so for each route.
	statuses := []int{http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusNotImplemented}
	for _, m := range regexp.MustCompile(`(?m)^\s+["']([45]\d\d)["']:`).FindAllStringSubmatch(string(document), -1) {
		status, _ := strconv.Atoi(m[1])
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	statuses = slices.Compact(statuses)
	if len(statuses) < 12 {
		t.Fatalf("only %v were found", statuses)
	}
	for _, status := range statuses {
		if errors.Is(kindOf(status), ErrMalformed) {
			t.Errorf("a server answers with %d, and that has no kind", status)
		}
	}
}
