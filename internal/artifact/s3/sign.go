package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// signer makes signatures of version 4, as "Authenticating Requests: Using the
// Authorization Header" of the Amazon S3 API Reference has them. Paths are
// encoded once, which is how S3 differs from Amazon's other services.
type signer struct {
	accessKey, secretKey, token string
	region                      string
}

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeLayout = "20060102T150405Z"
	// emptySum is the SHA-256 of nothing, in hex.
	emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// sign signs a request with all its headers but those that change on the way.
// payload is the SHA-256 of its body in hex.
func (s *signer) sign(r *http.Request, payload string, now time.Time) {
	stamp := now.UTC().Format(timeLayout)
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", payload)
	if s.token != "" {
		r.Header.Set("X-Amz-Security-Token", s.token)
	}
	headers, names := canonicalHeaders(r)
	request := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), canonicalQuery(r.URL.Query()), headers, names, payload,
	}, "\n")
	sum := sha256.Sum256([]byte(request))
	scope := strings.Join([]string{stamp[:8], s.region, "s3", "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, stamp, scope, hex.EncodeToString(sum[:])}, "\n")

	key := []byte("AWS4" + s.secretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = keyed(key, part)
	}
	r.Header.Set("Authorization", algorithm+" Credential="+s.accessKey+"/"+scope+
		",SignedHeaders="+names+",Signature="+hex.EncodeToString(keyed(key, text)))
}

func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalHeaders answers the headers, a line each, and their names.
func canonicalHeaders(r *http.Request) (headers, names string) {
	lines := map[string]string{"host": r.URL.Host}
	for name, values := range r.Header {
		switch name {
		case "Authorization", "User-Agent", "Accept-Encoding", "Expect": // proxies change them
			continue
		}
		list := make([]string, len(values))
		for i, v := range values {
			list[i] = strings.Join(strings.Fields(v), " ")
		}
		lines[strings.ToLower(name)] = strings.Join(list, ",")
	}
	var sorted []string
	for name := range lines {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var b strings.Builder
	for _, name := range sorted {
		b.WriteString(name + ":" + lines[name] + "\n")
	}
	return b.String(), strings.Join(sorted, ";")
}

// canonicalQuery is a query in the one way to write it. It is also how we send
// it.
func canonicalQuery(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

// encodePath encodes all but slashes and the characters that never are.
func encodePath(path string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(path))
}
