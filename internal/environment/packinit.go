package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// PackInit puts binary into an EROFS image as its one file, /init, readable
// and executable by root alone, and returns the image's absolute path. The
// image is named by the digest of binary and is made once; sandboxes mount it
// at /.tako, outside of every environment. Errors are those of Host.Ensure.
func PackInit(ctx context.Context, dir string, binary []byte) (path string, err error) {
	c, err := openCache(dir, "init")
	if err != nil {
		return "", err
	}
	e := &entry{path: "/init", kind: file, mode: 0o500, size: int64(len(binary)), data: binary, sum: sha256.Sum256(binary)}
	m := &manifest{entries: []*entry{{path: "/", kind: directory, mode: 0o755}, e}}
	h := sha256.Sum256(append([]byte("tako init 1\n"), e.sum[:]...))
	image := c.image(hex.EncodeToString(h[:]))
	if c.sound(image, nil) {
		return image, nil
	}
	release, err := c.lock(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	c.sweep()
	if _, err := c.make(ctx, image, m, nil, nil); err != nil {
		return "", err
	}
	c.prune(image)
	return image, nil
}
