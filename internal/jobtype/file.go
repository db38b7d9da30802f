package jobtype

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
)

// maxFile bounds job_types.json, in bytes.
const maxFile = 4 << 20

// ReadFile reads Tako VM's job_types.json: {"job_types": [...]}, with the keys of
// job_types in the configuration. As there, an entry that is wrong is left out,
// which skipped says; a file that is not there has none.
func ReadFile(path string) (types []config.JobType, skipped []string, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, job.Errorf(job.KindConfig, "reading job types: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, nil, job.Errorf(job.KindConfig, "reading job types from %s: %w", path, err)
	}
	var file struct {
		Types []json.RawMessage `json:"job_types"`
	}
	if len(data) > maxFile {
		err = errors.New("it is larger than 4 MiB")
	} else {
		err = json.Unmarshal(data, &file)
	}
	if err != nil {
		return nil, nil, job.Errorf(job.KindConfig, "%s is no file of job types: %w", path, err).
			WithHint(`it should be {"job_types": [{"name": "mine", ...}]}`)
	}
	seen := map[string]bool{}
	for i, entry := range file.Types {
		t, err := config.DecodeJobType(entry)
		switch {
		case err != nil:
			skipped = append(skipped, fmt.Sprintf("%s: entry %d is left out: %v", path, i+1, err))
		case seen[t.Name]:
			skipped = append(skipped, fmt.Sprintf("%s: entry %d is left out: the name %s is there already", path, i+1, t.Name))
		default:
			seen[t.Name] = true
			types = append(types, t)
		}
	}
	return types, skipped, nil
}
