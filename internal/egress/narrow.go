package egress

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/takovm/tako/internal/job"
)

// Narrow checks that inner, the policy of a request, allows nothing that outer,
// the policy of its job type, does not. Errors are job.KindInvalid and name
// what goes beyond. Which private ranges are open is not in it; see
// Options.Within.
func Narrow(outer, inner job.Network) error {
	out, err := parse(outer)
	if err != nil {
		return err
	}
	in, err := parse(inner)
	if err != nil {
		return err
	}
	switch {
	case inner.Mode == "" || inner.Mode == job.NetworkNone:
		return nil
	case outer.Mode == "" || outer.Mode == job.NetworkNone:
		return wider(string(inner.Mode), "the job type has no network", "use a job type that has one")
	case outer.Mode == job.NetworkPublic:
		return nil
	case inner.Mode == job.NetworkPublic:
		return wider("public", "the job type allows certain hosts only", "use the mode allow with some of them")
	}
	for i := range in {
		if !within(out, &in[i]) {
			return badPattern(in[i].text, "the job type's policy does not allow it", "a request may only narrow the policy of its job type")
		}
	}
	return nil
}

func wider(mode, problem, mend string) error {
	return job.Errorf(job.KindInvalid, "network mode %s: %s", mode, problem).WithHint("%s", mend)
}

// within reports whether out has every host of p with every port of it.
func within(out []pattern, p *pattern) bool {
	var have []ports
	for i := range out {
		if out[i].contains(p) {
			have = append(have, out[i].ports...)
		}
	}
	have = merge(have)
	for _, want := range p.ports {
		if !slices.ContainsFunc(have, func(r ports) bool { return r.from <= want.from && want.to <= r.to }) {
			return false
		}
	}
	return true
}

// contains reports whether o has every host of p, ports aside.
func (o *pattern) contains(p *pattern) bool {
	switch {
	case p.prefix.IsValid():
		return o.prefix.IsValid() && containsRange(o.prefix, p.prefix)
	case p.wildcard && o.wildcard && o.name == p.name:
		return true
	case p.wildcard && !o.wildcard:
		return false
	}
	return o.covers(p.name)
}

func containsRange(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// merge joins ranges that touch, so that 80-90 and 91-99 have 85-95.
func merge(list []ports) []ports {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b ports) int { return cmp.Compare(a.from, b.from) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && int(r.from) <= int(out[n-1].to)+1 {
			out[n-1].to = max(out[n-1].to, r.to)
			continue
		}
		out = append(out, r)
	}
	return out
}
