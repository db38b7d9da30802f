// Package guest is the host's end of the conversation with the init inside a
// sandbox: staging files, running the one program, streaming what it says,
// collecting what it leaves.
//
// # Life of a session
//
//	NewSession, Handshake, then any number of Put and Mkdir, one Start, one
//	Wait, Collect before or after a program, Close.
//
// Instead of the Start, a program can be started ahead of its script: Hold, after
// which the sandbox may be saved, Open, there or in what was restored, and Release.
//
// Handshake comes first and also addresses a sandbox that was restored from a
// snapshot. Put and Mkdir may be called while the program runs; their answers
// wait behind its output then. Collect may not. A Start that failed with an
// *ExecError may be repeated.
//
// # Trust
//
// Everything that arrives is hostile. Memory is bounded whatever the guest
// sends: a frame is at most 64 KiB and at most a few are held. Names and sizes
// are checked again. A message that does not belong, in form or in order, is a
// *ProtocolError and the end of the session.
//
// # Errors
//
// After any end of the session, every call fails with the reason of that end:
// an error that wraps ErrLost (the sandbox died or the engine closed the
// connection: ask the engine why), a *ProtocolError, a *FatalError, ErrClosed,
// or the error of a context. A context that ends in the middle of Handshake,
// Put, Mkdir, Start, Hold, Open, Release or Collect ends the session, since what init answers then
// has no taker; the end of Wait's or Signal's context does not.
//
// # Who may call what
//
// Every method may be called from any goroutine. Handshake, Put, Mkdir, Start,
// Hold, Open, Release and Collect wait for each other. Close may be called at any time, any number
// of times.
package guest
