package job

// Type is a job type as it is when a job starts.
type Type struct {
	Name string
	// Ref is name and version, as records keep it: "default@latest".
	Ref    string
	Limits Limits
	Env    map[string]string
	// What a type may ask for and no part of tako can do yet.
	Requirements   []string
	NetworkEnabled bool
	GPU            bool
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
