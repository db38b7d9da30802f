package s3

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Parse takes the URL of a bucket:
//
//	s3://BUCKET[/PREFIX][?region=REGION][&endpoint=URL][&path_style=true][&allow_http=true]
//
// See Options for what they mean. Credentials have no place in it, and no error
// repeats what may be one. The error is job.KindConfig.
func Parse(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil { // which quotes the text
		return Options{}, wrong("it is not a URL").WithHint("write s3://BUCKET/PREFIX?region=REGION")
	}
	switch {
	case u.Scheme != "s3" || u.Opaque != "":
		return Options{}, wrong("it does not begin with s3://")
	case u.User != nil:
		return Options{}, wrong("there are credentials in it").
			WithHint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return Options{}, wrong("there is a # in it")
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Options{}, wrong("what follows the ? cannot be read")
	}
	for name, values := range query {
		if err := o.set(name, values); err != nil {
			return Options{}, err
		}
	}
	if _, err := o.place(); err != nil {
		return Options{}, err
	}
	return o, nil
}

// wrong is an error in the place of a bucket.
func wrong(format string, args ...any) *job.Error {
	return job.Errorf(job.KindConfig, "the bucket for blobs: "+format, args...)
}

// set takes one parameter of a URL.
func (o *Options) set(name string, values []string) error {
	text, flag := map[string]*string{"region": &o.Region, "endpoint": &o.Endpoint}[name],
		map[string]*bool{"path_style": &o.PathStyle, "allow_http": &o.AllowHTTP}[name]
	if text == nil && flag == nil {
		return wrong("%.40q is no parameter", name).WithHint("there are region, endpoint, path_style and allow_http")
	}
	if len(values) != 1 {
		return wrong("%s is there %d times", name, len(values))
	}
	switch {
	case text != nil:
		*text = values[0]
	case values[0] == "true", values[0] == "false":
		*flag = values[0] == "true"
	default:
		return wrong("%s is true or false", name)
	}
	return nil
}

// String answers the URL that Parse takes. It has no credentials.
func (o Options) String() string {
	query := url.Values{}
	for name, value := range map[string]string{"region": o.Region, "endpoint": o.Endpoint} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"path_style": o.PathStyle, "allow_http": o.AllowHTTP} {
		if value {
			query.Set(name, "true")
		}
	}
	u := url.URL{Scheme: "s3", Host: o.Bucket, Path: "/" + o.Prefix, RawQuery: query.Encode()}
	return u.String()
}

// GoString is String for %#v.
func (o Options) GoString() string { return o.String() }

// place is where requests go.
type place struct {
	scheme, host string
	path         string // of the bucket; begins and ends in a slash
	region       string
}

// place finds it, and what is wrong with the options that say it.
func (o Options) place() (place, error) {
	switch {
	case !bucketName(o.Bucket):
		return place{}, wrong("%.70q is no name of one", o.Bucket).
			WithHint("it has 3 to 63 lower-case letters, digits, dots and hyphens")
	case !prefixName(o.Prefix):
		return place{}, wrong("the prefix cannot be used").
			WithHint("it is folders, separated by one slash each, of letters, digits and any of -_. and at most 512 bytes long")
	case o.Region == "" && o.Endpoint == "":
		return place{}, wrong("neither a region nor an endpoint is set").WithHint("add ?region=REGION, such as eu-central-1")
	case len(o.Region) > 63 || !made(o.Region, "-"):
		return place{}, wrong("the region cannot be used").WithHint("it has at most 63 lower-case letters, digits and hyphens")
	}
	p := place{scheme: "https", region: o.Region, path: "/"}
	if p.region == "" {
		p.region = "us-east-1"
	}
	if o.Endpoint == "" {
		p.host = "s3." + o.Region + ".amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			p.host += ".cn"
		}
	} else if err := o.endpoint(&p); err != nil {
		return place{}, err
	}
	if o.PathStyle || strings.Contains(o.Bucket, ".") || numeric(p.host) {
		p.path = "/" + o.Bucket + "/"
	} else {
		p.host = o.Bucket + "." + p.host
	}
	return p, nil
}

// endpoint takes scheme and host from the endpoint.
func (o Options) endpoint(p *place) error {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Hostname() == "" || !made(u.Host, upper+"-_.:[]") || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return wrong("the endpoint cannot be used").WithHint("it is https://HOST or https://HOST:PORT, with nothing behind it")
	}
	if u.Scheme == "http" && !o.AllowHTTP && !loopback(u.Hostname()) {
		return wrong("the endpoint has no TLS, so blobs could be read on the way").
			WithHint("use https://, or add allow_http=true where the network is yours")
	}
	p.scheme, p.host = u.Scheme, u.Hostname()
	if strings.Contains(p.host, ":") {
		p.host = "[" + p.host + "]"
	}
	// Some proxies leave the usual port out of what was signed.
	if port := u.Port(); port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		p.host += ":" + port
	}
	return nil
}

// hostOf answers a host without its port and brackets.
func hostOf(host string) string { return (&url.URL{Host: host}).Hostname() }

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// numeric reports a host that has no names below it.
func numeric(host string) bool {
	host = hostOf(host)
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// made reports text of lower-case letters, digits and others only.
func made(text, others string) bool {
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

// bucketName is strict: the name becomes part of a host.
func bucketName(name string) bool {
	if len(name) < 3 || len(name) > 63 || !made(name, ".-") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// prefixName leaves out what proxies change on the way: ".." and empty folders.
func prefixName(prefix string) bool {
	if prefix == "" {
		return true
	}
	if len(prefix) > 512 || !made(prefix, upper+"-_./") {
		return false
	}
	for folder := range strings.SplitSeq(prefix, "/") {
		if strings.Trim(folder, ".") == "" {
			return false
		}
	}
	return true
}

// checkCredentials answers what keeps them from being used. It repeats nothing
// of them.
func (o Options) checkCredentials() error {
	if o.AccessKey == "" || o.SecretKey == "" {
		return wrong("there is no key for it").WithHint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	for name, value := range map[string]string{
		"access key": o.AccessKey, "secret key": o.SecretKey, "session token": o.SessionToken,
	} {
		if strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return wrong("the %s has a space or another character that no key has", name).
				WithHint("look for a line break at its end")
		}
	}
	return nil
}
