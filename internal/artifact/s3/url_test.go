package s3

import (
	"reflect"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Options
		base string // of the bucket
	}{
		{"s3://bucket?region=eu-central-1", Options{Bucket: "bucket", Region: "eu-central-1"},
			"https://bucket.s3.eu-central-1.amazonaws.com/"},
		{"s3://bucket/a/b/?region=cn-north-1", Options{Bucket: "bucket", Prefix: "a/b", Region: "cn-north-1"},
			"https://bucket.s3.cn-north-1.amazonaws.com.cn/"},
		{"s3://my.bucket?region=us-east-1", Options{Bucket: "my.bucket", Region: "us-east-1"},
			"https://s3.us-east-1.amazonaws.com/my.bucket/"},
		{"s3://bucket?path_style=true&region=us-east-1", Options{Bucket: "bucket", Region: "us-east-1", PathStyle: true},
			"https://s3.us-east-1.amazonaws.com/bucket/"},
		{"s3://bucket?path_style=false&endpoint=https://minio.internal:9000/",
			Options{Bucket: "bucket", Endpoint: "https://minio.internal:9000/"}, "https://bucket.minio.internal:9000/"},
		{"s3://bucket?endpoint=https://minio.internal:443", Options{Bucket: "bucket", Endpoint: "https://minio.internal:443"},
			"https://bucket.minio.internal/"},
		{"s3://bucket?endpoint=https://s443", Options{Bucket: "bucket", Endpoint: "https://s443"}, "https://bucket.s443/"},
		{"s3://bucket?endpoint=http://localhost:80", Options{Bucket: "bucket", Endpoint: "http://localhost:80"}, "http://localhost/bucket/"},
		{"s3://bucket?endpoint=http://127.0.0.1:9000", Options{Bucket: "bucket", Endpoint: "http://127.0.0.1:9000"},
			"http://127.0.0.1:9000/bucket/"},
		{"s3://bucket?endpoint=http://[::1]:9000", Options{Bucket: "bucket", Endpoint: "http://[::1]:9000"}, "http://[::1]:9000/bucket/"},
		{"s3://bucket?endpoint=https://[fd00::1]:443", Options{Bucket: "bucket", Endpoint: "https://[fd00::1]:443"}, "https://[fd00::1]/bucket/"},
		{"s3://bucket?endpoint=http://minio:9000&allow_http=true",
			Options{Bucket: "bucket", Endpoint: "http://minio:9000", AllowHTTP: true}, "http://bucket.minio:9000/"},
	} {
		got, err := Parse(tc.text)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, %v", tc.text, got, err)
			continue
		}
		p, err := got.place()
		if base := p.scheme + "://" + p.host + p.path; err != nil || base != tc.base {
			t.Errorf("%s: %s, %v", tc.text, base, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const ok = "?region=us-east-1"
	for text, says := range map[string]string{
		"":                                               "s3://",
		"bucket":                                         "s3://",
		"s3:bucket" + ok:                                 "s3://",
		"https://bucket" + ok:                            "s3://",
		"s3://bucket":                                    "region",
		"s3://" + ok:                                     "no name",
		"s3://ab" + ok:                                   "no name",
		"s3://-abc" + ok:                                 "no name",
		"s3://a..b" + ok:                                 "no name",
		"s3://Bucket" + ok:                               "no name",
		"s3://bucket:9000" + ok:                          "no name",
		"s3://" + longName + ok:                          "no name",
		"s3://KEY:hidden@bucket" + ok:                    "credentials",
		"s3://KEY:hid%zzen@bucket" + ok:                  "URL",
		"s3://bucket" + ok + "#hidden":                   "#",
		"s3://bucket" + ok + "#":                         "#",
		"s3://bucket/../x" + ok:                          "prefix",
		"s3://bucket/a//x" + ok:                          "prefix",
		"s3://bucket/a%20b" + ok:                         "prefix",
		"s3://bucket/\u212a" + ok:                        "prefix",
		"s3://bucket/" + longPrefix + ok:                 "prefix",
		"s3://bucket?region=a.b/":                        "region",
		"s3://bucket?region=a&region=b":                  "2 times",
		"s3://bucket?region=%zz":                         "?",
		"s3://bucket?reigon=us-east-1":                   "reigon",
		"s3://bucket?secret_key=hidden":                  "secret_key",
		"s3://bucket?path_style=yes":                     "true or false",
		"s3://bucket?endpoint=minio":                     "endpoint",
		"s3://bucket?endpoint=ftp://minio":               "endpoint",
		"s3://bucket?endpoint=https://":                  "endpoint",
		"s3://bucket?endpoint=https://:9000":             "endpoint",
		"s3://bucket?endpoint=https://minio/bucket":      "endpoint",
		"s3://bucket?endpoint=https://minio?x":           "endpoint",
		"s3://bucket?endpoint=https://minio%23x":         "endpoint",
		"s3://bucket?endpoint=https://KEY:hidden@minio":  "endpoint",
		"s3://bucket?endpoint=https://mi%2520nio":        "endpoint",
		"s3://bucket?endpoint=http://minio":              "TLS",
		"s3://bucket?endpoint=http://127.0.0.1.nip.io":   "TLS",
		"s3://bucket?endpoint=http://localhost.example":  "TLS",
		"s3://bucket?endpoint=http://m&allow_http=false": "TLS",
	} {
		_, err := Parse(text)
		if err == nil || job.KindOf(err) != job.KindConfig || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

var (
	longName   = strings.Repeat("a", 64)
	longPrefix = strings.Repeat("a", 513)
)

// What is taken has a text that says the same, and leads to a place.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"s3://bucket/prefix?region=eu-central-1&endpoint=https://minio.internal:9000&path_style=true",
		"s3://b.c.d?endpoint=http://[::1%25eth0]:1&allow_http=true", "s3://abc/%2e%2e?region=a", "s3://u:p@b", "s3://abc?region=",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := Parse(text)
		if err != nil {
			if job.KindOf(err) != job.KindConfig {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(o.String())
		if err != nil || !reflect.DeepEqual(o, again) {
			t.Errorf("%q: %s: %v", text, o, err)
		}
		p, err := o.place()
		if err != nil || p.scheme == "http" && !o.AllowHTTP && !loopback(hostOf(p.host)) || strings.ContainsAny(p.host+p.path, " \r\n?#@%") {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	})
}
