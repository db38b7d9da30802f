package environment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/takovm/tako/internal/job"
)

// PackInit puts binary into an EROFS image as its one file, /init, readable
// and executable by root alone, and returns the image's absolute path. The
// image is named by digest, binary's SHA-256 in hex, and is made once;
// sandboxes mount it at /.tako, outside of every environment. Errors are those
// of Host.Ensure.
func PackInit(ctx context.Context, dir string, binary []byte, digest string) (path string, err error) {
	c, err := openCache(dir, "init")
	if err != nil {
		return "", err
	}
	h := sha256.Sum256([]byte("tako init 2\n" + digest))
	image := c.image(hex.EncodeToString(h[:]))
	if c.sound(image, nil) {
		return image, nil
	}
	e := &entry{path: "/init", kind: file, mode: 0o500, size: int64(len(binary)), data: binary, sum: sha256.Sum256(binary)}
	if hex.EncodeToString(e.sum[:]) != digest {
		return "", job.Errorf(job.KindInternal, "the init in this binary is not the one it was built with")
	}
	m := &manifest{entries: []*entry{{path: "/", kind: directory, mode: 0o755}, e}}
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
