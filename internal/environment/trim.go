package environment

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"

	erofs "github.com/erofs/go-erofs"
)

// go-erofs puts the content of a file below one block next to its inode.
// gVisor reads such files but cannot map them into memory: a program that does
// (setlocale does, and the loader of a small library) dies of SIGBUS. So small
// files are written as one whole block, and their sizes set right afterwards.

// padded is the size under which an entry's content is written.
func padded(size int64) int64 {
	if size == 0 {
		return 0
	}
	return max(size, blockSize)
}

// Offsets in the superblock and in both forms of inode, from Linux'
// fs/erofs/erofs_fs.h. A size below a block is in the low half of either.
const (
	superblockMeta = superblockOffset + 40 // u32, the block where inodes begin
	inodeUnit      = 32                    // bytes; a nid counts them
	inodeSize      = 8                     // u32 or u64
)

// trim sets the sizes of padded files in a finished image.
func trim(f *os.File, m *manifest) error {
	image, err := erofs.Open(f)
	if err != nil {
		return fmt.Errorf("reading the image back: %w", err)
	}
	var b [4]byte
	if _, err := f.ReadAt(b[:], superblockMeta); err != nil {
		return fmt.Errorf("reading the image back: %w", err)
	}
	meta := int64(binary.LittleEndian.Uint32(b[:])) * blockSize
	for _, e := range m.entries {
		if e.kind != file || padded(e.size) == e.size {
			continue
		}
		info, err := fs.Stat(image, e.path[1:])
		if err != nil {
			return fmt.Errorf("reading the image back: %w", err)
		}
		st, ok := info.Sys().(*erofs.Stat)
		if !ok || st.Size != padded(e.size) {
			return fmt.Errorf("reading the image back: %s is not as it was written", e.path)
		}
		binary.LittleEndian.PutUint32(b[:], uint32(e.size))
		if _, err := f.WriteAt(b[:], meta+st.Ino*inodeUnit+inodeSize); err != nil {
			return err
		}
	}
	return nil
}
