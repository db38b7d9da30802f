package job

import "strings"

// Type is a job type as it is when a job is accepted.
type Type struct {
	Name string `json:"name"`
	// Ref is name and version, as records keep it: "default@latest".
	Ref    string            `json:"ref"`
	Limits Limits            `json:"limits"`
	Env    map[string]string `json:"env,omitempty"`
	// Environment is the digest of what a version was built in; empty is the
	// environment of the day.
	Environment string `json:"environment,omitempty"`
	// Language is that of programs whose request names none; empty is python.
	Language string `json:"language,omitempty"`
	// Image is a container image to run in; empty is this machine's environment.
	Image string `json:"image,omitempty"`
	// Requirements are packages: Python's, and npm's with the prefix npm:.
	Requirements []string `json:"requirements,omitempty"`
	// Preload are modules that are imported before a job comes.
	Preload []string `json:"preload,omitempty"`
	Network Network  `json:"network,omitzero"`
	// Secrets are where values may go that jobs do not see.
	Secrets []SecretBinding `json:"secrets,omitempty"`
	// What a type may ask for and no part of tako can do yet.
	GPU bool `json:"gpu,omitempty"`
}

// ValidModule reports whether name could be that of a Python module: words of
// letters, digits and _ with dots between them, at most 200 bytes.
func ValidModule(name string) bool {
	if len(name) > 200 {
		return false
	}
	for word := range strings.SplitSeq(name, ".") {
		if word == "" || '0' <= word[0] && word[0] <= '9' {
			return false
		}
		for _, c := range []byte(word) {
			if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}

// Ended is how an attempt ended.
type Ended struct {
	Status  Status
	Outcome Outcome
	// Events are those that are not in the log yet. They belong into the
	// transaction that ends the job.
	Events []Event
	// Again reports a failure of the infrastructure that another attempt may
	// not have. Nothing that a program or a limit did is one.
	Again bool
}
