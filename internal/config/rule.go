package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rule is what a value must be: in words for the docs, and as a check that
// answers what is wrong, without repeating the value, or nothing.
type rule struct {
	text  string
	check func(v any) string
}

// between takes numbers from low to high, both included.
func between(low, high float64) rule {
	text := strconv.FormatFloat(low, 'f', -1, 64) + " to " + strconv.FormatFloat(high, 'f', -1, 64)
	return rule{text, func(v any) string {
		// Written so that NaN fails, too.
		if n := number(v); !(n >= low && n <= high) {
			return "must be " + text
		}
		return ""
	}}
}

// sizeBetween is between for sizes, with its bounds as a person writes them.
func sizeBetween(low, high Size) rule {
	r := between(float64(low), float64(high))
	return rule{low.String() + " to " + high.String() + ", suffix g, m, k or bytes", func(v any) string {
		if r.check(v) != "" {
			return "must be " + low.String() + " to " + high.String()
		}
		return ""
	}}
}

func number(v any) float64 {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case Size:
		return float64(n)
	case float64:
		return n
	}
	return -1
}

// oneOf takes exactly these words; a row folds case before.
func oneOf(words ...string) rule {
	text := strings.Join(words, ", ")
	return rule{text, func(v any) string {
		for _, w := range words {
			if v == w {
				return ""
			}
		}
		return "must be one of " + text
	}}
}

// matching takes text that the whole pattern matches. The pattern is compiled
// when a value is checked: tables are built more often than that.
func matching(pattern, text string) rule {
	return rule{text, func(v any) string {
		if s, _ := v.(string); !regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(s) {
			return "must be " + text
		}
		return ""
	}}
}

// optional is r for values that are set.
func optional(r rule) rule {
	return rule{r.text, func(v any) string {
		if v == "" || v == Secret("") {
			return ""
		}
		return r.check(v)
	}}
}

// ifSet is r for a number that may be absent.
func ifSet(r rule) rule {
	return rule{r.text, func(v any) string {
		n, _ := v.(*int)
		if n == nil {
			return ""
		}
		return r.check(*n)
	}}
}

// each is r for every item of a list of text.
func each(r rule) rule {
	return rule{"each " + r.text, func(v any) string {
		items, _ := v.([]string)
		for i, item := range items {
			if msg := r.check(item); msg != "" {
				return "item " + strconv.Itoa(i+1) + " " + msg
			}
		}
		return ""
	}}
}

func cidr() rule {
	return rule{"CIDR such as 10.0.0.0/8", func(v any) string {
		if _, err := netip.ParsePrefix(v.(string)); err != nil {
			return "is not a CIDR such as 10.0.0.0/8"
		}
		return ""
	}}
}

func addressOrCIDR() rule {
	return rule{"address or CIDR", func(v any) string {
		if _, err := netip.ParseAddr(v.(string)); err == nil {
			return ""
		}
		if _, err := netip.ParsePrefix(v.(string)); err != nil {
			return "is neither an address nor a CIDR"
		}
		return ""
	}}
}

const minSecretLen = 16

// longSecret takes secrets that cannot be guessed and fit into a header.
func longSecret() rule {
	return rule{"at least 16 characters, no line break or NUL", func(v any) string {
		s, _ := v.(Secret)
		switch {
		case utf8.RuneCountInString(string(s)) < minSecretLen:
			return "must have at least 16 characters"
		case strings.ContainsAny(string(s), "\r\n\x00"):
			return "must not contain a line break or NUL"
		}
		return ""
	}}
}

// apiKeys takes a list of unique long secrets.
func apiKeys() rule {
	one := longSecret()
	return rule{"unique, each " + one.text, func(v any) string {
		seen := map[Secret]bool{}
		keys, _ := v.([]Secret)
		for i, key := range keys {
			if msg := one.check(key); msg != "" {
				return "item " + strconv.Itoa(i+1) + " " + msg
			}
			if seen[key] {
				return "item " + strconv.Itoa(i+1) + " is there twice"
			}
			seen[key] = true
		}
		return ""
	}}
}

// databaseURL takes what names a PostgreSQL database on a host.
func databaseURL() rule {
	const text = "postgresql://, postgres:// or postgresql+psycopg:// with host and database name"
	return rule{text, func(v any) string {
		s, _ := v.(Secret)
		u, err := url.Parse(string(s)) // err repeats the URL, password included: not shown
		if err != nil {
			return "is not a URL"
		}
		switch u.Scheme {
		case "postgresql", "postgres", "postgresql+psycopg":
		default:
			return "must start with postgresql://"
		}
		if u.Hostname() == "" {
			return "names no host"
		}
		if strings.Trim(u.Path, "/") == "" {
			return "names no database"
		}
		return ""
	}}
}

// proxyURL takes a proxy that reaches a command line and an environment
// variable unquoted, hence the few characters.
func proxyURL() rule {
	const text = "http://, https:// or socks5:// with host, no path, query or fragment"
	return rule{text, func(v any) string {
		safe := regexp.MustCompile(`^[A-Za-z0-9._:/=,+\-\[\]{}@%]+$`)
		s, _ := v.(Secret)
		u, err := url.Parse(string(s))
		if err != nil || !safe.MatchString(string(s)) {
			return "is not a URL of plain characters"
		}
		switch u.Scheme {
		case "http", "https", "socks5":
		default:
			return "must start with http://, https:// or socks5://"
		}
		if u.Hostname() == "" {
			return "names no host"
		}
		if strings.Trim(u.Path, "/") != "" {
			return "must not have a path"
		}
		return ""
	}}
}

// indexURL takes the URL of a package index.
func indexURL() rule {
	return rule{"http:// or https:// with a host, no query or fragment", func(v any) string {
		s, _ := v.(Secret)
		u, err := url.Parse(string(s))
		switch {
		case err != nil:
			return "is not a URL"
		case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
			return "must be http:// or https:// with a host"
		case u.RawQuery != "" || u.Fragment != "":
			return "must not have a query or a fragment"
		}
		return ""
	}}
}

func indexURLs() rule {
	one := indexURL()
	return rule{"each " + one.text, func(v any) string {
		urls, _ := v.([]Secret)
		for i, u := range urls {
			if msg := one.check(u); msg != "" {
				return "item " + strconv.Itoa(i+1) + " " + msg
			}
		}
		return ""
	}}
}

// blobURL takes what names a bucket. Credentials are not in it: they come from
// the environment.
func blobURL() rule {
	return rule{"s3://bucket/prefix", func(v any) string {
		u, err := url.Parse(v.(string))
		switch {
		case err != nil:
			return "is not a URL"
		case u.Scheme != "s3":
			return "must start with s3://"
		case u.Host == "":
			return "names no bucket"
		case u.User != nil:
			return "must not hold credentials: they are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
		}
		return ""
	}}
}

func collectorURL() rule {
	return rule{"http:// or https:// with a host", func(v any) string {
		u, err := url.Parse(v.(string))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return "must be http:// or https:// with a host, and without a user"
		}
		return ""
	}}
}

// ifSize is r for a size that is not 0.
func ifSize(r rule) rule {
	return rule{r.text, func(v any) string {
		if v == Size(0) {
			return ""
		}
		return r.check(v)
	}}
}
