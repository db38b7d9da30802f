package egress

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
)

// Secret is a value, and where it may go.
type Secret struct {
	job.SecretBinding
	// Value takes the placeholder's place. Empty where nothing is connected to,
	// as for an explanation.
	Value string
}

// Unvalued are bindings without values, for policies that nothing connects by.
func Unvalued(bindings []job.SecretBinding) (list []Secret) {
	for _, b := range bindings {
		list = append(list, Secret{SecretBinding: b})
	}
	return list
}

// bound is a secret as a connection needs it.
type bound struct {
	host               string
	port               uint16
	field              string // canonical
	placeholder, value string
}

// bind checks the secrets of a policy. In a job type's own each has to be of use;
// a request that is narrower has those that it still reaches.
func (p *Policy) bind(o Options) error {
	if len(o.Secrets) == 0 {
		return nil
	}
	if o.Authority == nil {
		return job.Errorf(job.KindInternal, "a policy with secrets needs a certificate authority")
	}
	p.authority, p.roots = o.Authority, o.Roots
	for _, s := range o.Secrets {
		if field, msg := s.Problem(); msg != "" {
			return job.Errorf(job.KindInvalid, "the %s of secret %.80q %s", field, s.Name, msg)
		}
		host, port := s.Target()
		if reason := p.admit(host, port); reason != "" {
			if o.Within != nil {
				continue
			}
			return job.Errorf(job.KindInvalid, "secret %s is bound to %s, which jobs cannot reach: %s", s.Name, s.Host, reason).
				WithHint("allow the host in the network of the job type, or leave the secret out")
		}
		p.secrets = append(p.secrets, bound{host, port, http.CanonicalHeaderKey(s.Field()), s.Placeholder(), s.Value})
	}
	p.masker = maskerOf(p.secrets)
	return nil
}

// Reaches reports whether the policy lets a name be dialled.
func (p *Policy) Reaches(host string, port uint16) bool { return p.admit(host, port) == "" }

// secretsFor are those that are bound to a target.
func (p *Policy) secretsFor(host string, port uint16) (list []bound) {
	for _, s := range p.secrets {
		if s.host == host && s.port == port {
			list = append(list, s)
		}
	}
	return list
}

// maskerOf masks the values of secrets.
func maskerOf(list []bound) *redact.Masker {
	values := make([]string, 0, len(list))
	for _, s := range list {
		values = append(values, s.value)
	}
	return redact.New(values...)
}

// mostTimes is how often placeholders may stand in a request: a value may be much
// longer, and the program chooses how often it takes their place.
const mostTimes = 16

// times is how often the placeholder stands in its header.
func (s *bound) times(h http.Header) (n int) {
	for _, text := range h[s.field] {
		if _, plain, ok := basic(text); ok {
			n += strings.Count(plain, s.placeholder)
		}
		n += strings.Count(text, s.placeholder)
	}
	return n
}

// fill puts the value in the place of its placeholder, in its header only; of
// basic authentication in what is encoded there.
func (s *bound) fill(h http.Header) {
	for i, text := range h[s.field] {
		if scheme, plain, ok := basic(text); ok && strings.Contains(plain, s.placeholder) {
			filled := strings.ReplaceAll(plain, s.placeholder, s.value)
			h[s.field][i] = scheme + " " + base64.StdEncoding.EncodeToString([]byte(filled))
			continue
		}
		h[s.field][i] = strings.ReplaceAll(text, s.placeholder, s.value)
	}
}

// basic is what basic authentication encodes (RFC 7617).
func basic(text string) (scheme, plain string, ok bool) {
	scheme, encoded, _ := strings.Cut(text, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	return scheme, string(decoded), err == nil
}
