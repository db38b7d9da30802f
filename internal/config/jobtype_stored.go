package config

import (
	"encoding/json"
	"fmt"
)

// EncodeJobType writes a job type as JSON for DecodeJobType to read: nothing is
// masked.
func EncodeJobType(t JobType) ([]byte, error) {
	rows := jobTypeRows()
	for i := range rows {
		rows[i].show = nil
	}
	data, err := json.Marshal(nest(shown(rows, &t)))
	if err != nil {
		return nil, fmt.Errorf("encoding job type %s: %w", t.Name, err)
	}
	return data, nil
}

// DecodeJobType reads a job type, JSON or YAML with the keys of job_types in the
// configuration. Its error is Problems.
func DecodeJobType(data []byte) (JobType, error) {
	tree, found := parseYAML(data)
	if len(found) == 0 {
		var list []JobType
		found = assignJobTypes("job_types", &list, []any{tree})
		if len(found) == 0 {
			c := Config{JobTypes: list}
			found = c.checkJobTypes()
		}
		if len(found) == 0 {
			return list[0], nil
		}
	}
	return JobType{}, found
}
