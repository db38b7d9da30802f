package script

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// The life of a job type with a package: made, built, changed, built again; the
// first version goes on to mean what it did, also for another server life, and a
// rerun is in what its job ran in.
func TestServerJobTypes(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	wheels := t.TempDir()
	must(t, os.Chmod(wheels, 0o755))
	takotest.Wheel(t, wheels, "demo", "1.0", map[string]string{"demo.py": "VALUE = 'one'\n"})
	config := filepath.Join(b.work, "types.yaml")
	must(t, os.WriteFile(config, []byte("package_offline: true\npackage_wheels_dir: "+wheels+"\n"), 0o600))
	s := serve(t, b, "TAKO_VM_CONFIG="+config)
	const run = `{"code": "import demo; print(demo.VALUE)", "job_type": "`
	s.expect("POST", "/job-types/mine", `{"requirements": ["demo"]}`, http.StatusOK, "image_exists", false)
	first := s.expect("POST", "/job-types/mine/build", "", http.StatusOK, "status", "built")["version"].(string)
	s.expect("GET", "/job-types/mine", "", http.StatusOK, "image_exists", true)
	lock := s.expect("GET", "/job-types/mine/builds/"+strings.TrimPrefix(first, "mine@sha256:")+"/lock", "", http.StatusOK, "npm", nil)
	if text, _ := lock["python"].(string); !strings.HasPrefix(text, "demo==1.0 --hash=sha256:") {
		t.Errorf("the lock is %v", lock)
	}
	job := s.expect("POST", "/execute", run+`mine"}`, http.StatusOK, "stdout", "one\n")["execution_id"].(string)

	takotest.Wheel(t, wheels, "demo", "2.0", map[string]string{"demo.py": "VALUE = 'two'\n"})
	s.expect("PUT", "/job-types/mine", `{"requirements": ["demo"], "timeout": 20}`, http.StatusOK, "image_exists", true)
	s.expect("POST", "/job-types/mine/build", "", http.StatusOK, "status", "built")
	for life := range 2 {
		for ref, want := range map[string]string{"mine@v1": "one\n", first: "one\n", "mine@v2": "two\n", "mine": "two\n"} {
			s.expect("POST", "/execute", run+ref+`"}`, http.StatusOK, "stdout", want)
		}
		again := s.expect("POST", "/jobs/"+job+"/rerun", "{}", http.StatusOK, "", nil)["job_id"].(string)
		if got := s.result(again); got["stdout"] != "one\n" {
			t.Errorf("the rerun printed %v: %v", got["stdout"], got["error"])
		}
		s.expect("POST", "/execute", run+`mine@v3"}`, http.StatusOK, "success", false)
		s.stop()
		if left := leftovers(b.root); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if life == 0 {
			s = serve(t, b, "TAKO_VM_CONFIG="+config)
		}
	}
}

// expect makes a request and holds one field of the answer.
func (s *server) expect(method, path, body string, status int, field string, want any) map[string]any {
	s.t.Helper()
	got, answer := s.call(method, path, body)
	if got != status || field != "" && answer[field] != want {
		s.t.Fatalf("%s %s %s: %d, %v", method, path, strings.TrimSpace(body), got, answer)
	}
	return answer
}
