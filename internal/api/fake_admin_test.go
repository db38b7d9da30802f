package api

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// What a fake does for who runs the server.

func (f *fake) CreateKey(_ context.Context, k job.Key) error {
	end, err := f.begin("CreateKey")
	defer end()
	if err != nil {
		return err
	}
	f.keys[k.ID] = k
	f.changed("CreateKey")
	return nil
}

func (f *fake) ListKeys(context.Context) (list []job.Key, err error) {
	end, err := f.begin("ListKeys")
	defer end()
	for _, id := range sortedKeys(f.keys) {
		list = append(list, f.keys[id])
	}
	return list, err
}

func (f *fake) DeleteKey(_ context.Context, id string) error {
	end, err := f.begin("DeleteKey")
	defer end()
	if err != nil {
		return err
	}
	if _, ok := f.keys[id]; !ok {
		return store.ErrNotFound
	}
	delete(f.keys, id)
	f.changed("DeleteKey")
	return nil
}

func (f *fake) Health(context.Context) Health {
	end, _ := f.begin("Health")
	defer end()
	return f.health
}

func (f *fake) Accepting(context.Context) error {
	end, _ := f.begin("Accepting")
	defer end()
	return f.accepting
}

func (f *fake) Sandboxes(context.Context) Sandboxes { return Sandboxes{Ready: 1, Max: 2} }

func (f *fake) Pool(context.Context) (Pool, error) {
	end, err := f.begin("Pool")
	defer end()
	return f.health.Pool, err
}

func (f *fake) DeadLetters(_ context.Context, errorType string, limit, offset int) (list []store.DeadLetter, more bool, err error) {
	end, err := f.begin("DeadLetters")
	defer end()
	for id := int64(len(f.letters)); id > 0; id-- {
		if d, ok := f.letters[id]; ok && (errorType == "" || d.ErrorType == errorType) {
			list = append(list, d)
		}
	}
	list, more = cut(list, limit, offset)
	return list, more, err
}

func (f *fake) DeadLetterStats(context.Context) (map[string]int, error) {
	end, err := f.begin("DeadLetterStats")
	defer end()
	counts := map[string]int{}
	for _, d := range f.letters {
		counts[d.ErrorType]++
	}
	return counts, err
}

func (f *fake) DeleteDeadLetter(_ context.Context, id int64) error {
	end, err := f.begin("DeleteDeadLetter")
	defer end()
	if err != nil {
		return err
	}
	if _, ok := f.letters[id]; !ok {
		return store.ErrNotFound
	}
	delete(f.letters, id)
	f.changed("DeleteDeadLetter")
	return nil
}

func (f *fake) ReplayDeadLetter(_ context.Context, p job.Principal, id int64, _ Caller) (job.Record, error) {
	end, err := f.begin("ReplayDeadLetter")
	defer end()
	if err != nil {
		return job.Record{}, err
	}
	d, ok := f.letters[id]
	if !ok {
		return job.Record{}, store.ErrNotFound
	}
	delete(f.letters, id)
	f.changed("ReplayDeadLetter")
	return f.put(job.Record{Owner: p.Owner, ParentID: d.JobID, Relationship: job.Rerun}), nil
}

func (f *fake) Deliveries(_ context.Context, p job.Principal, jobID string, limit, offset int) (list []store.Delivery, more bool, err error) {
	end, err := f.begin("Deliveries")
	defer end()
	for _, d := range f.deliveries {
		if p.Sees(d.Owner) && (jobID == "" || d.JobID == jobID) {
			list = append(list, d)
		}
	}
	list, more = cut(list, limit, offset)
	return list, more, err
}

func (f *fake) ListJobTypes(context.Context) (list []JobType, err error) {
	end, err := f.begin("ListJobTypes")
	defer end()
	for _, name := range sortedKeys(f.types) {
		list = append(list, f.types[name])
	}
	return list, err
}

// typed answers a type for a method.
func (f *fake) typed(method, name string) (JobType, error) {
	end, err := f.begin(method)
	defer end()
	if err != nil {
		return JobType{}, err
	}
	t, ok := f.types[name]
	if !ok {
		return JobType{}, store.ErrNotFound
	}
	return t, nil
}

func (f *fake) JobType(_ context.Context, name string) (JobType, error) {
	return f.typed("JobType", name)
}

func (f *fake) CreateJobType(_ context.Context, t config.JobType) (JobType, error) {
	end, err := f.begin("CreateJobType")
	defer end()
	if err != nil {
		return JobType{}, err
	}
	if _, ok := f.types[t.Name]; ok {
		return JobType{}, ErrExists
	}
	f.types[t.Name] = JobType{JobType: t}
	f.changed("CreateJobType")
	return f.types[t.Name], nil
}

func (f *fake) ReplaceJobType(_ context.Context, t config.JobType) (JobType, error) {
	end, err := f.begin("ReplaceJobType")
	defer end()
	if err != nil {
		return JobType{}, err
	}
	f.types[t.Name] = JobType{JobType: t}
	f.changed("ReplaceJobType")
	return f.types[t.Name], nil
}

func (f *fake) DeleteJobType(_ context.Context, name string) error {
	if _, err := f.typed("DeleteJobType", name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.types, name)
	f.changed("DeleteJobType")
	return nil
}

func build() Build {
	return Build{ID: "build-1", Digest: "0123456789ab", Tag: "v1", At: epoch(), By: "manual"}
}

func (f *fake) BuildJobType(_ context.Context, name, tag string, log io.Writer) (Build, error) {
	if _, err := f.typed("BuildJobType", name); err != nil {
		return Build{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for line := range strings.Lines(f.buildLog) {
		_, _ = io.WriteString(log, line)
	}
	if f.buildErr != nil {
		return Build{}, f.buildErr
	}
	b := build()
	b.Tag = tag
	f.changed("BuildJobType")
	return b, nil
}

func (f *fake) JobTypeVersions(_ context.Context, name string) ([]Build, error) {
	_, err := f.typed("JobTypeVersions", name)
	return []Build{build()}, err
}

func (f *fake) BuildLock(_ context.Context, name, buildID string) (Lock, error) {
	_, err := f.typed("BuildLock", name)
	if err == nil && buildID != build().ID {
		err = store.ErrNotFound
	}
	return Lock{Python: "a==1 --hash=sha256:00\n"}, err
}

func (f *fake) BuildLog(_ context.Context, name, buildID string) (io.ReadCloser, error) {
	_, err := f.typed("BuildLog", name)
	if err == nil && !slices.Contains([]string{build().ID}, buildID) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return io.NopCloser(strings.NewReader(f.buildLog)), nil
}
