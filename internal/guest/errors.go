package guest

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/takovm/tako/internal/guest/wire"
)

var (
	// ErrLost is wrapped by every error of a session whose connection ended
	// from the other side.
	ErrLost = errors.New("the connection to the sandbox is lost")
	// ErrUnsent is wrapped by errors of calls that found the session ended: the
	// sandbox has seen nothing of them, or of a Release the files at most.
	ErrUnsent = errors.New("nothing was sent")
	// ErrClosed is wrapped by every error of a session after Close.
	ErrClosed = errors.New("the session is closed")
	// ErrDiscard is returned by a writer of Streams that wants no more: init
	// drops the rest of that stream and only counts it.
	ErrDiscard = errors.New("discard the rest of this stream")
	// ErrChanged is what the reader of a collected file fails with if the file
	// was not there in full. Collect lists it as skipped.
	ErrChanged = errors.New("the file changed while it was collected")
)

// ProtocolError is a message from the sandbox that breaks the protocol. It is
// a defect of tako or an init that somebody has taken over.
type ProtocolError struct {
	Message string // the message's name
	Reason  string
}

func (e *ProtocolError) Error() string {
	return "the sandbox broke the protocol: " + e.Message + ": " + e.Reason
}

// violation makes a ProtocolError about t.
func violation(t wire.Type, format string, args ...any) *ProtocolError {
	return &ProtocolError{Message: t.String(), Reason: fmt.Sprintf(format, args...)}
}

// FileError is a file or directory that could not be written inside.
type FileError struct {
	Op    string // "put" or "mkdir"
	Path  string
	Errno syscall.Errno
}

func (e *FileError) Error() string { return e.Op + " " + e.Path + ": " + e.Errno.Error() }

// Unwrap makes errors.Is(err, syscall.ENOSPC) work.
func (e *FileError) Unwrap() error { return e.Errno }

// ExecError is a program that could not be started.
type ExecError struct {
	Path  string
	Step  string // what failed: "exec", "chdir", "rlimits", "identity", ...
	Errno syscall.Errno
}

func (e *ExecError) Error() string {
	return "start " + e.Path + ": " + e.Step + ": " + e.Errno.Error()
}

// Unwrap makes errors.Is(err, syscall.ENOENT) work.
func (e *ExecError) Unwrap() error { return e.Errno }

// FatalError is an init that ended the sandbox because it could not do its
// part.
type FatalError struct {
	Step  string // "posture", "devices", "protocol", ...
	Errno syscall.Errno
}

func (e *FatalError) Error() string {
	if e.Errno == 0 {
		return "init gave up: " + e.Step
	}
	return "init gave up: " + e.Step + ": " + e.Errno.Error()
}

// Unwrap gives the errno to errors.Is.
func (e *FatalError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}
