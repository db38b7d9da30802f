package sqlite

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

// spy notes how SQLite goes about each statement that reads.
type spy struct {
	*database
	tb    testing.TB
	plans []string
}

func (s *spy) Read(ctx context.Context, fn func(context.Context, sqlstore.Querier) error) error {
	return s.database.Read(ctx, func(ctx context.Context, q sqlstore.Querier) error { return fn(ctx, planner{q, s}) })
}

type planner struct {
	sqlstore.Querier
	*spy
}

func (p planner) Each(ctx context.Context, query string, args []any, row func(sqlstore.Scan) error) error {
	var steps []string
	err := p.Querier.Each(ctx, "EXPLAIN QUERY PLAN "+query, args, func(scan sqlstore.Scan) error {
		var id, parent, unused int
		var step string
		err := scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	})
	if err != nil {
		p.tb.Errorf("%s: %v", query, err)
	}
	p.plans = append(p.plans, strings.Join(steps, "; "))
	return p.Querier.Each(ctx, query, args, row)
}

// What a request costs depends on what it asks for, not on what everybody did
// since the beginning: every list is read out of an index that has its order,
// by all that the filter names.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tako.db")
	st, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	read, err := connect(path, 1, "mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	s := &spy{database: &database{read: read}, tb: t}
	spied := sqlstore.New(s, Options{})

	me, nobody := "me", ""
	for name, tc := range map[string]struct {
		f    store.Filter
		want string
	}{
		"all":                    {store.Filter{}, `records_created`},
		"status":                 {store.Filter{Status: "failed"}, `records_status \(status=\?\)`},
		"type":                   {store.Filter{JobType: "a"}, `records_job_type \(job_type=\?\)`},
		"owner":                  {store.Filter{Owner: &me}, `records_owner \(owner=\?\)`},
		"owner, status":          {store.Filter{Owner: &me, Status: "failed"}, `records_owner_status \(owner=\? AND status=\?\)`},
		"owner, type":            {store.Filter{Owner: &me, JobType: "a"}, `records_owner_job_type \(owner=\? AND job_type=\?\)`},
		"owner, status, type":    {store.Filter{Owner: &me, JobType: "a", Status: "failed"}, `records_owner_(status|job_type) \(owner=\? AND (status|job_type)=\?\)`},
		"nobody's, status":       {store.Filter{Owner: &nobody, Status: "failed"}, `records_status \(status=\?\)`},
		"owner, parent":          {store.Filter{Owner: &me, ParentID: "p"}, `records_parent \(parent_id=\?\)`},
		"owner, parent, oldest":  {store.Filter{Owner: &me, ParentID: "p", Ascending: true}, `records_parent \(parent_id=\?\)`},
		"batch":                  {store.Filter{BatchID: "b", Ascending: true}, `records_batch \(batch_id=\?\)`},
		"owner, batch":           {store.Filter{Owner: &me, BatchID: "b", Ascending: true}, `records_batch \(batch_id=\?\)`},
		"owner, label":           {store.Filter{Owner: &me, Labels: map[string]string{"a": "b"}}, `PRIMARY KEY \(name=\? AND value=\?\)`},
		"owner, status, a label": {store.Filter{Owner: &me, Status: "failed", Labels: map[string]string{"a": "b"}}, `PRIMARY KEY \(name=\? AND value=\?\)`},
	} {
		tc.f.Limit = 9
		s.plans = nil
		if _, _, err := spied.List(t.Context(), tc.f); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, name, s.plans[0], tc.want)
	}
	for name, tc := range map[string]struct {
		owner *string
		id    string
		want  string
	}{
		"all deliveries":            {nil, "", `deliveries_created`},
		"an owner's deliveries":     {&me, "", `deliveries_owner \(owner=\?\)`},
		"a job's deliveries":        {nil, "j", `deliveries_job \(job_id=\?\).*deliveries_batch \(batch_id=\?\)`},
		"an owner's job's delivery": {&me, "j", `deliveries_job \(job_id=\?\).*deliveries_batch \(batch_id=\?\)`},
	} {
		s.plans = nil
		if _, _, err := spied.ListDeliveries(t.Context(), tc.owner, tc.id, 9, 0); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		check(t, name, s.plans[0], tc.want)
	}
}

// check wants a plan that has no sorting but of what was created at once, and
// of the deliveries of one job.
func check(t *testing.T, name, plan, want string) {
	t.Helper()
	sorted := strings.Contains(strings.ReplaceAll(plan, "USE TEMP B-TREE FOR LAST TERM OF ORDER BY", ""), "TEMP B-TREE")
	if !regexp.MustCompile(want).MatchString(plan) || sorted && !strings.Contains(plan, "deliveries_job") {
		t.Errorf("%s: %s", name, plan)
	}
}
