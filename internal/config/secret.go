package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

const mask = "***"

// Secret is text that is masked wherever it is printed or encoded. Reveal
// answers the text itself.
type Secret string

// Reveal answers the secret. Its result must not be logged.
func (s Secret) Reveal() string { return string(s) }

// String answers "***", or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format masks under every verb: %d or %x would print what String hides.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText masks, for JSON, YAML and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maskURL answers a URL without its password and query: both may hold one.
func maskURL(v any) any {
	text, _ := v.(Secret)
	if text == "" {
		return nil
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Host == "" {
		return mask
	}
	user := ""
	if u.User != nil {
		user = url.User(u.User.Username()).String()
		if _, ok := u.User.Password(); ok {
			user += ":" + mask
		}
		user += "@"
	}
	query := ""
	if u.RawQuery != "" || u.Fragment != "" {
		query = "?" + mask
	}
	return u.Scheme + "://" + user + u.Host + u.EscapedPath() + query
}

// maskToken is maskURL for a URL whose user is a token where there is no password.
func maskToken(v any) any {
	text, _ := v.(Secret)
	u, err := url.Parse(string(text))
	if err != nil || u.User == nil {
		return maskURL(v)
	}
	if _, ok := u.User.Password(); ok {
		return maskURL(v)
	}
	u.User = nil
	shown, _ := maskURL(Secret(u.String())).(string)
	return strings.Replace(shown, "://", "://"+mask+"@", 1)
}

// maskURLs is maskURL for each of a list.
func maskURLs(v any) any {
	urls, _ := v.([]Secret)
	masked := make([]any, len(urls))
	for i, u := range urls {
		masked[i] = maskURL(u)
	}
	return masked
}

// maskValues answers the same names with every value masked: a job type's
// environment is where credentials end up.
func maskValues(v any) any {
	env, _ := v.(map[string]string)
	masked := make(map[string]string, len(env))
	for name := range env {
		masked[name] = mask
	}
	return masked
}

// String lists every key with its value, one a line, secrets masked.
func (c Config) String() string {
	text := ""
	for _, e := range c.Entries() {
		value, err := json.Marshal(e.Value)
		if err != nil {
			value = []byte(`"?"`)
		}
		text += e.Key + ": " + string(value) + "\n"
	}
	return text
}

// Format prints String under every verb, so that %#v shows no more than %v.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalJSON encodes the configuration in the shape of the YAML file, secrets
// masked.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(nest(shown(configRows(), &c))) }

// Format prints a job type with the values of its environment masked.
func (t JobType) Format(f fmt.State, _ rune) {
	text, err := t.MarshalJSON()
	if err != nil {
		text = []byte(mask)
	}
	_, _ = f.Write(text)
}

// MarshalJSON encodes the job type in the shape of the YAML file, the values of
// its environment masked.
func (t JobType) MarshalJSON() ([]byte, error) { return json.Marshal(nest(shown(jobTypeRows(), &t))) }
