package entry

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/takovm/tako/internal/job"
)

// Schema says what the tables of a database are by the newest migrations that
// made them, ours and River's; 0 is none.
type Schema struct{ Ours, River int64 }

// SchemaOf is the schema that this binary makes, with these migrations of ours.
func SchemaOf[T any](migrations fs.FS, driver riverdriver.Driver[T]) (s Schema, err error) {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return s, fmt.Errorf("listing migrations of the queue: %w", err)
	}
	for _, v := range m.AllVersions() {
		s.River = max(s.River, int64(v.Version))
	}
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return s, err
	}
	for _, name := range files {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return s, err
		}
		s.Ours = max(s.Ours, version)
	}
	return s, nil
}

// Check answers job.KindConfig for a database that has another schema than this
// binary makes. One that has none is nobody's yet.
func (s Schema) Check(has Schema, database string) error {
	if has == s || has == (Schema{}) {
		return nil
	}
	return job.Errorf(job.KindConfig, "%s has the tables of another version of tako", database).
		WithHint("use the tako of the server that works on it; starting the server of this one brings it up to date")
}

// CheckNotNewer answers job.KindConfig for a database that a newer tako has brought
// up to date: this one does not know what its tables have come to mean.
func (s Schema) CheckNotNewer(has Schema, database string) error {
	if has.Ours <= s.Ours && has.River <= s.River {
		return nil
	}
	return job.Errorf(job.KindConfig, "%s has the tables of a newer tako", database).
		WithHint("install that one again, or restore a backup from before the update")
}
