package s3test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const dateLayout = "2006-01-02T15:04:05.000Z"

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	bucket, key := s.split(r)
	s.mu.Lock()
	s.log = append(s.log, strings.TrimSpace(r.Method+" "+key))
	s.mu.Unlock()
	w.Header().Set("X-Amz-Request-Id", "TX0123456789")
	if f := s.fault(r); f != nil {
		fw := &faulty{ResponseWriter: w, f: f, r: r, done: s.done, left: f.After}
		if fw.instead() {
			return
		}
		w = fw
	}
	err := s.authorize(r)
	if err == nil && bucket != s.o.Bucket {
		err = &refused{404, "NoSuchBucket", "The specified bucket does not exist", ""}
	}
	if err == nil {
		err = s.answer(w, r, key)
	}
	if e, ok := err.(*refused); ok {
		e.write(w, r)
	}
}

// split answers what a request is about.
func (s *Server) split(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if s.o.Host != "" {
		bucket, ok := strings.CutSuffix(r.Host, "."+s.o.Host)
		if !ok {
			return "", path
		}
		return bucket, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// answer does what a request asks for. Its error is a *refused.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, key string) error {
	switch {
	case key == "" && r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		return s.list(w, r.URL.Query())
	case key == "":
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.get(w, r, key)
	case r.Method == http.MethodPut:
		return s.store(w, r, key)
	case r.Method == http.MethodDelete:
		return s.remove(w, r, key)
	}
	return &refused{405, "MethodNotAllowed", "The specified method is not allowed against this resource.", ""}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) error {
	s.mu.Lock()
	o, ok := s.objects[key]
	s.mu.Unlock()
	if !ok {
		return &refused{404, "NoSuchKey", "The specified key does not exist.", ""}
	}
	if r.Header.Get("Range") != "" && len(o.data) == 0 {
		return &refused{416, "InvalidRange", "The requested range is not satisfiable", ""}
	}
	w.Header().Set("Etag", o.etag)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", o.modTime, bytes.NewReader(o.data))
	return nil
}

func (s *Server) store(w http.ResponseWriter, r *http.Request, key string) error {
	if r.ContentLength < 0 {
		return &refused{411, "MissingContentLength", "You must provide the Content-Length HTTP header.", ""}
	}
	data, _ := io.ReadAll(r.Body) // read already
	s.mu.Lock()
	defer s.mu.Unlock()
	if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
		return s.copy(w, r, source, key)
	}
	w.Header().Set("Etag", s.put(key, data).etag)
	return nil
}

// copy makes an object of another one. The caller holds the lock.
func (s *Server) copy(w http.ResponseWriter, r *http.Request, source, key string) error {
	if s.o.RefuseCopy {
		return &refused{501, "NotImplemented", "A header you provided implies functionality that is not implemented.", ""}
	}
	source, err := url.PathUnescape(source)
	from, ok := strings.CutPrefix(source, "/"+s.o.Bucket+"/")
	if err != nil || !ok {
		return &refused{400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey", ""}
	}
	if from == key && r.Header.Get("X-Amz-Metadata-Directive") != "REPLACE" {
		return &refused{400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself" +
			" without changing the object's metadata, storage class, website redirect location or encryption attributes.", ""}
	}
	o, ok := s.objects[from]
	if !ok {
		return &refused{404, "NoSuchKey", "The specified key does not exist.", ""}
	}
	made := s.put(key, o.data)
	return writeXML(w, http.StatusOK, copyResult{LastModified: made.modTime.Format(dateLayout), ETag: made.etag})
}

type copyResult struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified, ETag string
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request, key string) error {
	want := r.Header.Get("If-Match")
	if want != "" && s.o.RefuseIfMatch {
		return &refused{501, "NotImplemented", "A header you provided implies functionality that is not implemented.", ""}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if want != "" && ok && o.etag != want {
		return &refused{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", ""}
	}
	delete(s.objects, key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix          string
	EncodingType          string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listEntry
}

type listEntry struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

// tokenPrefix makes a token that is not mistaken for a key.
const tokenPrefix = "after/+="

func (s *Server) list(w http.ResponseWriter, query url.Values) error {
	most, err := strconv.Atoi(query.Get("max-keys"))
	if err != nil || most < 0 {
		return &refused{400, "InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647", ""}
	}
	after := query.Get("start-after")
	if token := query.Get("continuation-token"); token != "" {
		var ok bool
		if after, ok = strings.CutPrefix(token, tokenPrefix); !ok {
			return &refused{400, "InvalidArgument", "The continuation token provided is incorrect", ""}
		}
	}
	encoded := func(key string) string {
		if query.Get("encoding-type") == "url" {
			return url.QueryEscape(key)
		}
		return key
	}
	res := listResult{
		Name: s.o.Bucket, Prefix: encoded(query.Get("prefix")), EncodingType: query.Get("encoding-type"),
		MaxKeys: min(most, s.o.MaxKeys),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := ""
	for _, key := range s.keys() {
		if key <= after || !strings.HasPrefix(key, query.Get("prefix")) {
			continue
		}
		if len(res.Contents) == res.MaxKeys {
			res.IsTruncated, res.NextContinuationToken = true, tokenPrefix+last
			break
		}
		o := s.objects[key]
		res.Contents = append(res.Contents, listEntry{
			Key: encoded(key), LastModified: o.modTime.Format(dateLayout), ETag: o.etag, Size: len(o.data), StorageClass: "STANDARD",
		})
		last = key
	}
	res.KeyCount = len(res.Contents)
	return writeXML(w, http.StatusOK, res)
}

func writeXML(w http.ResponseWriter, status int, v any) error {
	text, err := xml.Marshal(v)
	if err != nil {
		return &refused{500, "InternalError", "We encountered an internal error. Please try again.", ""}
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s%s", xml.Header, text)
	return nil
}

// write answers an error, which a HEAD has no room for.
func (e *refused) write(w http.ResponseWriter, r *http.Request) {
	text, _ := xml.Marshal(struct {
		XMLName                  xml.Name `xml:"Error"`
		Code, Message, RequestId string
		Extra                    string `xml:",innerxml"`
	}{Code: e.code, Message: e.message, RequestId: "TX0123456789", Extra: e.extra})
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead {
		w.Write(text)
	}
}
