package oci

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// How compressed data begins.
const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

func compressed(begin []byte) bool {
	return bytes.HasPrefix(begin, []byte(gzipMagic)) || bytes.HasPrefix(begin, []byte(zstdMagic))
}

// decompress answers what a layer has inside: its first bytes say how it is
// compressed, whatever the manifest says.
func decompress(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 256<<10)
	magic, _ := buffered.Peek(4) // a short one is no compressed one
	switch {
	case bytes.HasPrefix(magic, []byte(gzipMagic)):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, corrupt("it is not gzip: %w", err)
		}
		return z, nil
	case bytes.HasPrefix(magic, []byte(zstdMagic)):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, corrupt("it is not zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}

// measured counts and sums what comes out of a layer, and ends it where it is
// too much.
type measured struct {
	m       *merger
	r       io.Reader
	hash    io.Writer
	in, out int64
}

func (r *measured) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.hash.Write(p[:n])
	r.out += int64(n)
	r.m.unpacked += int64(n)
	if err := r.m.ctx.Err(); err != nil {
		return n, err
	}
	// Beside contents there are headers, which the number of entries bounds.
	if most := r.m.limits.Unpacked + int64(r.m.limits.Entries)*1024; r.m.unpacked > most {
		return n, tooMuch("the layers of the image have more than %d bytes unpacked", r.m.limits.Unpacked)
	}
	if r.out > ratioFloor && r.out/max(r.in, 1) >= r.m.limits.Ratio {
		return n, tooMuch("a layer of %d bytes unpacks to more than %d times as much", r.in, r.m.limits.Ratio)
	}
	return n, damaged(err)
}

// damaged names the errors of compressed data.
func damaged(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return err
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, zstd.ErrMagicMismatch), errors.Is(err, zstd.ErrCRCMismatch):
		return corrupt("its compressed data is damaged: %w", err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return tooMuch("its compressed data needs too much memory: %w", err)
	}
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return err
	}
	return corrupt("its compressed data is damaged: %w", err)
}

// unpack merges the layer in r, size bytes, and verifies it.
func (m *merger) unpack(r io.Reader, size int64, want v1.Hash) error {
	z, err := decompress(r)
	if err != nil {
		return err
	}
	defer z.Close()
	h := sha256.New()
	m.in, m.out = size, 0
	m.input += size
	plain := &measured{m: m, r: z, hash: h, in: size}
	if err := m.add(plain); err != nil {
		return err
	}
	// Behind the end of the archive there may be more, which counts, too.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.Hex {
		return corrupt("its content is not what the configuration says: SHA-256 %s instead of %s", got, want.Hex)
	}
	return nil
}
