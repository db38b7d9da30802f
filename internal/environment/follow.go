package environment

import (
	"errors"
	"path"
	"strings"
)

// maxLinks is how many links a path may lead through, as in Linux.
const maxLinks = 40

// Errors of follow, beside those of what it asks.
var (
	errAbsent = errors.New("nothing is there")
	errLinks  = errors.New("it leads through too many links")
)

// followed is where a path leads to inside a tree.
type followed struct {
	path  string   // without links, as far as it was followed
	rest  []string // what was left of the name where an error ended the walk
	links []string // on the way, without links themselves
}

// follow walks name part by part from the root of a tree, which it never leaves.
// target answers where the link at a path leads to, "" where no link is; its
// errors, errAbsent for one, end the walk at that path.
func follow(name string, target func(path string) (string, error)) (followed, error) {
	to := followed{path: "/", rest: strings.Split(name, "/")}
	for len(to.rest) > 0 {
		part := to.rest[0]
		to.rest = to.rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			to.path = path.Dir(to.path)
			continue
		}
		next := path.Join(to.path, part)
		link, err := target(next)
		switch {
		case err != nil:
			to.path = next
			return to, err
		case link == "":
			to.path = next
			continue
		case len(to.links) == maxLinks:
			to.path = next
			return to, errLinks
		}
		to.links = append(to.links, next)
		if path.IsAbs(link) {
			to.path = "/"
		}
		to.rest = append(strings.Split(link, "/"), to.rest...)
	}
	return to, nil
}
