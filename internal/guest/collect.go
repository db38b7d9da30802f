package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/takovm/tako/internal/guest/wire"
)

// maxDepth is the deepest that init goes.
const maxDepth = 32

// CollectOptions say what to collect. Bounds are inclusive.
type CollectOptions struct {
	// Root is the directory, one of those where Put writes or one below.
	// Default "/output".
	Root string
	// MaxFiles bounds the number of files.
	MaxFiles int
	// MaxFileBytes bounds one file, MaxTotalBytes all of them together.
	MaxFileBytes, MaxTotalBytes int64
	// MaxDepth bounds the directories between Root and a file, at most 32; 0
	// takes files in Root alone.
	MaxDepth int
}

// Skip is an entry that was not collected.
type Skip struct {
	// Name is the path below Root, quoted as in Go where it has anything in it
	// that does not print. It is for reading, not for opening.
	Name   string
	Reason string // "symbolic link", "file too large", ...
}

// Summary is what became of a collection.
type Summary struct {
	Files   int
	Bytes   int64
	Skipped []Skip // at most 100
	More    int    // entries that were skipped, too, and are not listed
}

// Collect calls each with every regular file below the root: result.json of
// the root first, then in the order of their names, directory by directory.
// name is relative, with '/' between its parts: UTF-8 without control
// characters, ".." or parts that begin with a dot. r gives exactly size bytes
// and then EOF, or fails with ErrChanged; what each returns for such a file is
// not looked at, and the file is listed as skipped. What each leaves of r is
// dropped. Links are not followed; they, hidden, special and badly named
// entries and those over a bound are skipped and listed. An error of each ends
// the calls and is returned; the session goes on.
func (s *Session) Collect(ctx context.Context, o CollectOptions, each func(name string, size int64, r io.Reader) error) (Summary, error) {
	request, err := o.encode()
	if err != nil {
		return Summary{}, fmt.Errorf("guest collect: %w", err)
	}
	if err := s.begin(ctx, collecting, request.Append(nil)); err != nil {
		return Summary{}, s.wrap("collect", err)
	}
	defer s.done()
	c := collection{s: s, ctx: ctx, ask: request, each: each}
	if err := c.run(); err != nil {
		return c.sum, s.wrap("collect", err)
	}
	return c.sum, c.failed
}

func (o CollectOptions) encode() (wire.Collect, error) {
	if o.Root == "" {
		o.Root = "/output"
	}
	if _, ok := wire.SplitPath(o.Root + "/x"); !ok {
		return wire.Collect{}, fmt.Errorf("root %q: it is not a directory to collect from", o.Root)
	}
	if o.MaxFiles < 0 || o.MaxFileBytes < 0 || o.MaxTotalBytes < 0 || o.MaxDepth < 0 {
		return wire.Collect{}, errors.New("a bound is negative")
	}
	return wire.Collect{
		Root: o.Root, MaxFiles: uint32(min(int64(o.MaxFiles), math.MaxUint32)), MaxFileBytes: uint64(o.MaxFileBytes),
		MaxTotalBytes: uint64(o.MaxTotalBytes), MaxDepth: uint8(min(o.MaxDepth, maxDepth)),
	}, nil
}

// collection is one Collect under way.
type collection struct {
	s      *Session
	ctx    context.Context //nolint:containedctx // it lives as long as the call
	ask    wire.Collect
	each   func(name string, size int64, r io.Reader) error
	failed error // what each returned

	sum     Summary
	begun   uint32 // files announced
	total   uint64 // bytes announced
	skipped int    // Skipped messages
	last    string // the name before
	result  bool   // result.json came first
}

func (c *collection) run() error {
	for {
		f, err := c.s.next(c.ctx)
		if err != nil {
			return err
		}
		switch f.kind {
		case wire.TypeFileBegin:
			err = c.file(f)
		case wire.TypeSkipped:
			err = c.skip(f)
		case wire.TypeCollectEnd:
			return c.end(f)
		default:
			err = c.s.fail(violation(f.kind, "no file has begun"))
		}
		if err != nil {
			return err
		}
	}
}

func (c *collection) file(f frame) error {
	var m wire.FileBegin
	if err := c.s.decode(f, &m); err != nil {
		return err
	}
	if err := c.admit(m); err != nil {
		return c.s.fail(err)
	}
	r := &fileReader{c: c, left: m.Size}
	var err error
	if c.failed == nil {
		err = c.each(m.Name, int64(m.Size), r)
	}
	if rest := r.drop(); rest != nil {
		return rest
	}
	if r.bad != 0 {
		c.list(m.Name, r.bad)
		return nil
	}
	c.sum.Files++
	c.sum.Bytes += int64(m.Size)
	if c.failed == nil {
		c.failed = err
	}
	return nil
}

// admit checks an announced file against what was asked for, and its name
// against the one before: in the order that init keeps, no name comes twice
// and no file is also a directory.
func (c *collection) admit(m wire.FileBegin) error {
	switch {
	case wire.Depth(m.Name) > int(c.ask.MaxDepth):
		return violation(wire.TypeFileBegin, "%q is too deep", m.Name)
	case m.Size > c.ask.MaxFileBytes || m.Size > c.ask.MaxTotalBytes-c.total:
		return violation(wire.TypeFileBegin, "%q is too large", m.Name)
	case c.begun >= c.ask.MaxFiles:
		return violation(wire.TypeFileBegin, "too many files")
	}
	c.begun++
	c.total += m.Size
	const result = "result.json"
	if m.Name == result && c.begun == 1 {
		c.result = true
		return nil
	}
	if c.last != "" && (!before(c.last, m.Name) || strings.HasPrefix(m.Name, c.last+"/")) ||
		m.Name == result || c.result && strings.HasPrefix(m.Name, result+"/") {
		return violation(wire.TypeFileBegin, "%q is not in order", m.Name)
	}
	c.last = m.Name
	return nil
}

// before orders names as a walk does, part by part.
func before(a, b string) bool {
	return strings.ReplaceAll(a, "/", "\x00") < strings.ReplaceAll(b, "/", "\x00")
}

func (c *collection) skip(f frame) error {
	var m wire.Skipped
	if err := c.s.decode(f, &m); err != nil {
		return err
	}
	if c.skipped++; c.skipped > wire.MaxSkips {
		return c.s.fail(violation(f.kind, "more than %d", wire.MaxSkips))
	}
	c.list(m.Name, m.Reason)
	return nil
}

func (c *collection) list(name string, reason wire.Reason) {
	if len(c.sum.Skipped) < wire.MaxSkips {
		c.sum.Skipped = append(c.sum.Skipped, Skip{Name: printable(name), Reason: reason.String()})
	}
}

// end checks the counts: what init says was sent is what came.
func (c *collection) end(f frame) error {
	var m wire.CollectEnd
	if err := c.s.decode(f, &m); err != nil {
		return err
	}
	if int64(m.Files) != int64(c.sum.Files) || m.Bytes != uint64(c.sum.Bytes) || int64(m.Skipped) < int64(len(c.sum.Skipped)) {
		return c.s.fail(violation(f.kind, "its counts are not those of what came"))
	}
	c.sum.More = int(m.Skipped) - len(c.sum.Skipped)
	return nil
}

// fileReader reads one file as it arrives.
type fileReader struct {
	c    *collection
	left uint64 // bytes not arrived yet
	f    frame  // the piece at hand
	rest []byte // of it
	bad  wire.Reason
	err  error
}

// Read gives a file's bytes. EOF comes only after init has said that it was all.
func (r *fileReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.advance()
	}
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		r.c.s.recycle(r.f)
	}
	return n, nil
}

// advance takes the next frame of the file.
func (r *fileReader) advance() error {
	s := r.c.s
	f, err := s.next(r.c.ctx)
	if err != nil {
		return err
	}
	n := uint64(len(f.payload))
	switch {
	case f.kind == wire.TypeFileData && n > 0 && n <= r.left:
		r.left -= n
		r.f, r.rest = f, f.payload
		return nil
	case f.kind == wire.TypeFileEnd && n == 0 && r.left == 0:
		return io.EOF
	case f.kind == wire.TypeFileBad && r.left > 0:
		var m wire.FileBad
		if err := s.decode(f, &m); err != nil {
			return err
		}
		r.bad = m.Reason
		return ErrChanged
	}
	return s.fail(violation(f.kind, "%d bytes with %d of the file to come", n, r.left))
}

// drop reads what the callback has left. Its error is the session's.
func (r *fileReader) drop() error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{r})
	if errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// printable makes a name that the guest chose fit for a log or a terminal.
func printable(name string) string {
	name = strings.TrimSuffix(name, "/")
	if !utf8.ValidString(name) {
		return strconv.QuoteToASCII(name)
	}
	for _, r := range name {
		if !strconv.IsPrint(r) {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}
