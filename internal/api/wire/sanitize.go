package wire

import (
	"regexp"
	"strings"
	"sync"
)

// masks hide from callers what they have no business with: paths of the host,
// private addresses, ids of containers. They are compiled when they are asked
// for: every sandbox is this binary, too.
var masks = sync.OnceValue(func() []mask {
	private := `\b(172(\.[0-9]{1,3}){3}|10(\.[0-9]{1,3}){3}|192\.168(\.[0-9]{1,3}){2})\b`
	return []mask{
		{regexp.MustCompile(`/tmp/job-[^\s/:'"]+`), "/tmp/job-***"},
		{regexp.MustCompile(`/var/folders/[^\s:'"]+`), "/var/folders/***"},
		{regexp.MustCompile(`/(Users|home)/[^\s/:'"]+`), "/home/***"},
		{regexp.MustCompile(`/app/[^\s:'"]+`), "/app/***"},
		{regexp.MustCompile(private), "***.***.***.***"},
	}
})

type mask struct {
	pattern *regexp.Regexp
	with    string
}

// hostPath is any absolute path; its last part says enough.
var hostPath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|[\s:'"(=])/[^\s:'"]*/([^\s/:'"]+)`) })

// sanitizeOurs is for errors of tako itself: they name places on the host.
func sanitizeOurs(message string) string {
	return Sanitize(hostPath().ReplaceAllString(message, "$1***/$2"))
}

// ours reports an error type that tells of tako and not of the program.
func ours(kind string) bool {
	return kind == "service_unavailable" || kind == "internal_error" || kind == "docker_error"
}

var containerID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{12})\b`)
})

// Sanitize is for the details and messages of errors, not for what programs
// print.
func Sanitize(detail string) string {
	for _, m := range masks() {
		detail = m.pattern.ReplaceAllString(detail, m.with)
	}
	return containerID().ReplaceAllStringFunc(detail, func(id string) string {
		if strings.ContainsAny(id, "abcdef") {
			return "<container-id>"
		}
		return id
	})
}
