package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The examples of "Authenticating Requests: Using the Authorization Header" in
// the Amazon S3 API Reference.
func TestSignatures(t *testing.T) {
	s := &signer{
		accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region: "us-east-1",
	}
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	const day = "Fri, 24 May 2013 00:00:00 GMT"
	for _, tc := range []struct {
		name, method, url, body string
		header                  map[string]string
		signed, signature       string
	}{
		{
			"GET Object", http.MethodGet, "/test.txt", "", map[string]string{"Range": "bytes=0-9"},
			"host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
		},
		{
			"PUT Object", http.MethodPut, "/test$file.text", "Welcome to Amazon S3.",
			map[string]string{"Date": day, "X-Amz-Storage-Class": "REDUCED_REDUNDANCY"},
			"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		},
		{
			"GET Bucket Lifecycle", http.MethodGet, "/?lifecycle", "", nil,
			"host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
		},
		{
			"GET Bucket (List Objects)", http.MethodGet, "/?max-keys=2&prefix=J", "", nil,
			"host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := http.NewRequest(tc.method, "https://examplebucket.s3.amazonaws.com"+tc.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.RawPath = encodePath(r.URL.Path)
			r.Header.Set("User-Agent", "proxies change it")
			for name, value := range tc.header {
				r.Header.Set(name, value)
			}
			sum := sha256.Sum256([]byte(tc.body))
			s.sign(r, hex.EncodeToString(sum[:]), now)
			want := "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
				"SignedHeaders=" + tc.signed + ",Signature=" + tc.signature
			if got := r.Header.Get("Authorization"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestSignToken(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "https://b.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	(&signer{accessKey: "a", secretKey: "s", token: "t", region: "r"}).sign(r, emptySum, time.Now())
	if r.Header.Get("X-Amz-Security-Token") != "t" || !strings.Contains(r.Header.Get("Authorization"), ";x-amz-security-token,") {
		t.Errorf("%v", r.Header)
	}
}

func TestEncodePath(t *testing.T) {
	for path, want := range map[string]string{
		"/":               "/",
		"/a/b.c-d_e~f":    "/a/b.c-d_e~f",
		"/a b+c%2F$&=:@é": "/a%20b%2Bc%252F%24%26%3D%3A%40%C3%A9",
	} {
		if got := encodePath(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestEmptySum(t *testing.T) {
	if sum := sha256.Sum256(nil); hex.EncodeToString(sum[:]) != emptySum {
		t.Error("it is another one")
	}
}
