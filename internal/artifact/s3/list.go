package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/job"
)

const listing = "listing blobs"

// maxPage is the most bytes of one page of a list: 1,000 keys of 1 KiB, each
// byte of which may be encoded as three, and what is said of them.
const maxPage = 8 << 20

// List answers up to limit blobs after that digest. What else lies in the
// folder of the blobs costs time: it is listed and left out.
func (s *Store) List(ctx context.Context, after artifact.Digest, limit int) ([]artifact.Info, error) {
	if err := artifact.CheckList(after, limit); err != nil {
		return nil, err
	}
	var list []artifact.Info
	size, token := limit, ""
	for {
		p, err := s.page(ctx, after, token, size)
		if err != nil {
			return nil, s.problem(listing, err)
		}
		if list, err = s.add(list, p, after); err != nil {
			return nil, err
		}
		if len(list) >= limit {
			return list[:limit], nil
		}
		if !p.IsTruncated || s.behind(p) {
			return list, nil
		}
		if p.NextContinuationToken == "" || p.NextContinuationToken == token {
			return nil, s.problem(listing, &failure{err: errNoS3})
		}
		token = p.NextContinuationToken
		size = artifact.MaxList // there is something else: small pages would not end
	}
}

// page is one answer to ListObjectsV2.
type page struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	Contents              []entry
}

type entry struct {
	Key          string
	LastModified string
	Size         int64 // bytes
}

// page asks for one, of size entries.
func (s *Store) page(ctx context.Context, after artifact.Digest, token string, size int) (page, error) {
	query := url.Values{
		"list-type": {"2"},
		"max-keys":  {strconv.Itoa(size)},
		// Keys of others may have what XML has no way to write.
		"encoding-type": {"url"},
	}
	if s.prefix != "" {
		query.Set("prefix", s.prefix)
	}
	if after != "" {
		query.Set("start-after", s.key(after))
	}
	if token != "" {
		query.Set("continuation-token", token)
	}
	var p page
	err := s.client.retry(ctx, func() error {
		resp, err := s.client.once(ctx, request{method: http.MethodGet, query: query})
		if err != nil {
			return err
		}
		defer discard(resp.Body)
		body := &failing{r: resp.Body}
		if p, err = decodePage(io.LimitReader(body, maxPage)); err == nil {
			return nil
		}
		if body.err != nil {
			return s.client.noAnswer(ctx, ctx, body.err)
		}
		return &failure{err: fmt.Errorf("%w: %s", errNoS3, s.client.clean(err.Error()))}
	})
	return p, err
}

// failing remembers why a reader ended, which a decoder of XML does not tell
// from what is wrong with the text.
type failing struct {
	r   io.Reader
	err error // not io.EOF
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// decodePage reads the body of a page, with its keys as they are.
func decodePage(r io.Reader) (page, error) {
	var p page
	if err := xml.NewDecoder(r).Decode(&p); err != nil {
		return page{}, err
	}
	if p.EncodingType != "url" {
		return p, nil
	}
	for i, e := range p.Contents {
		key, err := url.QueryUnescape(e.Key)
		if err != nil {
			return page{}, fmt.Errorf("a key: %w", err)
		}
		p.Contents[i].Key = key
	}
	return p, nil
}

// add adds the blobs of a page to list.
func (s *Store) add(list []artifact.Info, p page, after artifact.Digest) ([]artifact.Info, error) {
	for _, e := range p.Contents {
		name, ok := strings.CutPrefix(e.Key, s.prefix)
		d := artifact.Digest(name)
		if !ok || d.Check() != nil || d <= after {
			continue
		}
		if n := len(list); n > 0 && list[n-1].Digest >= d {
			return nil, job.Errorf(job.KindConfig, "%s in bucket %s: they come out of order", listing, s.bucket).
				WithHint("use a general purpose bucket; directory buckets have no order")
		}
		modTime, err := time.Parse(time.RFC3339, e.LastModified)
		if err != nil || e.Size < 0 {
			return nil, s.problem(listing, &failure{err: errNoS3})
		}
		list = append(list, artifact.Info{Digest: d, Size: e.Size, ModTime: modTime})
	}
	return list, nil
}

// behind reports a page that ends behind every digest there can be.
func (s *Store) behind(p page) bool {
	return len(p.Contents) > 0 && p.Contents[len(p.Contents)-1].Key > s.prefix+"g"
}
