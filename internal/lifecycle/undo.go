// Package lifecycle holds what long-lived parts need to start and stop in
// order.
package lifecycle

import "errors"

// Undo is what has to be released if building something fails halfway. Each
// thing acquired adds its release; success hands the stack on:
//
//	func open() (_ *Thing, err error) {
//		var undo lifecycle.Undo
//		defer func() { err = errors.Join(err, undo.Run()) }()
//
//		file, err := os.Open(name)
//		if err != nil {
//			return nil, err
//		}
//		undo.Add(file.Close)
//		...
//		return &Thing{file: file, close: undo.Release()}, nil
//	}
//
// The zero value is empty and ready. One goroutine uses an Undo at a time.
type Undo struct {
	steps []func() error
}

// Add puts release on top of the stack. A nil release is a defect of the
// caller and panics here, where the stack trace still names it.
func (u *Undo) Add(release func() error) {
	if release == nil {
		panic("lifecycle: Undo.Add of nil")
	}
	u.steps = append(u.steps, release)
}

// Run calls every release, the last added first, and joins their errors: one
// that fails does not keep the others from being called. Each is called once,
// however often Run is; one that is added by a release is called, too. A
// release that panics is not called again, the rest is left to the next Run.
func (u *Undo) Run() error {
	var failed []error
	for len(u.steps) > 0 {
		last := len(u.steps) - 1
		release := u.steps[last]
		u.steps[last] = nil // the closure holds what it released
		u.steps = u.steps[:last]
		failed = append(failed, release())
	}
	return errors.Join(failed...)
}

// Release hands the stack on: u is empty afterwards, so that its Run does
// nothing, and the function returned does what Run would have done, under the
// same rules.
func (u *Undo) Release() func() error {
	handed := &Undo{steps: u.steps}
	u.steps = nil
	return handed.Run
}
