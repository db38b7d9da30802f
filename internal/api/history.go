package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

func (c *call) listExecutions() error {
	limit, offset := c.page()
	labels, err := c.labels()
	if err != nil {
		return err
	}
	return c.list(store.Filter{
		Status: c.query["status"].Text(), JobType: c.query["job_type"].Text(), Labels: labels, Limit: limit, Offset: offset,
	})
}

// labels are the parameters label=key:value.
func (c *call) labels() (map[string]string, error) {
	given := queryOf(c.r.URL.RawQuery)["label"]
	if len(given) == 0 {
		return nil, nil
	}
	labels := map[string]string{}
	for i, text := range given {
		key, value, ok := strings.Cut(text, ":")
		if !ok || key == "" || validText(text) != text {
			return nil, problems{schema.Invalid("a label is key:value", asText([]byte(validText(text))), "query", "label", i)}
		}
		if other, twice := labels[key]; twice && other != value {
			return nil, problems{schema.Invalid("the label "+key+" cannot have two values", asText([]byte(text)), "query", "label", i)}
		}
		labels[key] = value
	}
	return labels, nil
}

func (c *call) getExecution() error {
	r, err := c.found("execution_id")
	if err != nil {
		return err
	}
	return c.ok(c.record(&r))
}

// maxRelatives bounds each list of a lineage.
const maxRelatives = 1000

func (c *call) lineage() error {
	r, err := c.found("execution_id")
	if err != nil {
		return err
	}
	l := wire.Lineage{ExecutionID: r.ID, Ancestors: []wire.Relative{}, Descendants: []wire.Relative{}}
	if err := c.ancestors(&l, r.ParentID); err != nil {
		return err
	}
	if err := c.descendants(&l, r.ID); err != nil {
		return err
	}
	return c.ok(l)
}

// ancestors follows parents as far as they are there and may be seen.
func (c *call) ancestors(l *wire.Lineage, id string) error {
	for id != "" {
		if len(l.Ancestors) == maxRelatives {
			l.Truncated = true
			return nil
		}
		r, err := c.api.service.Get(c.r.Context(), c.principal, id)
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		l.Ancestors = append(l.Ancestors, wire.NewRelative(&r))
		id = r.ParentID
	}
	return nil
}

// descendants goes level by level: the list is its own queue.
func (c *call) descendants(l *wire.Lineage, id string) error {
	add := func(r *job.Record) error {
		if len(l.Descendants) < maxRelatives {
			l.Descendants = append(l.Descendants, wire.NewRelative(r))
		} else {
			l.Truncated = true
		}
		return nil
	}
	for next := 0; ; next++ {
		children := store.Filter{ParentID: id, Limit: maxRelatives, Ascending: true, NoRequest: true, NoOutcome: true}
		more, err := c.api.service.List(c.r.Context(), c.principal, children, add)
		if err != nil {
			return err
		}
		l.Truncated = l.Truncated || more
		if next == len(l.Descendants) || len(l.Descendants) == maxRelatives && l.Truncated {
			return nil
		}
		id = l.Descendants[next].ExecutionID
	}
}

func (c *call) diff() error {
	left, err := c.found("execution_id")
	if err != nil {
		return err
	}
	right, err := c.found("other")
	if err != nil {
		return err
	}
	d, err := diffOf(&left, &right)
	if err != nil {
		return err
	}
	return c.ok(d)
}

// measured are fields that differ between two runs of the same thing.
func measured(field string) bool { return field == "timing" || field == "resource_usage" }

// diffOf compares what two executions were given, where they ran and what came
// of it. Identical ones differ in what was measured only.
func diffOf(left, right *job.Record) (wire.Diff, error) {
	d := wire.Diff{Left: left.ID, Right: right.ID, Identical: true, Differences: []wire.Difference{}}
	l, err := facts(left)
	if err != nil {
		return d, err
	}
	r, err := facts(right)
	if err != nil {
		return d, err
	}
	for _, f := range union(l, r) {
		a, b := rawOr(l[f], "null"), rawOr(r[f], "null")
		if string(a) == string(b) {
			continue
		}
		d.Differences = append(d.Differences, wire.Difference{Field: f, Left: a, Right: b})
		d.Identical = d.Identical && measured(f)
	}
	return d, nil
}

// facts are the fields of an execution that a diff compares.
func facts(r *job.Record) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	asked := r.Request
	asked.Type, asked.Environment = nil, "" // the environment is compared as the one that it ran in
	inputs, err := fieldsOf(asked)
	if err != nil {
		return nil, err
	}
	for name, value := range inputs {
		out["inputs."+name] = value
	}
	if t := r.Request.Type; t != nil { // its variables are the operator's business
		if out["job_type_limits"], err = encode(t.Limits); err != nil {
			return nil, err
		}
	}
	full, err := fieldsOf(wire.NewFullRecord(r))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"status", "exit_code", "stdout", "stderr", "output", "error", "ended_by", "environment", "network", "timing", "resource_usage"} {
		out[name] = full[name]
	}
	for _, a := range r.Outcome.Artifacts {
		if out["artifacts."+a.Name], err = encode(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fieldsOf are the members of v as JSON.
func fieldsOf(v any) (fields map[string]json.RawMessage, err error) {
	body, err := encode(v)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, fmt.Errorf("taking an execution apart: %w", err)
	}
	return fields, nil
}

// union is the names of both, in order.
func union(a, b map[string]json.RawMessage) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
