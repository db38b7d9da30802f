// Package wire is the language between the host and the init inside a
// sandbox: frames and messages, in a binary form that both ends write by hand.
// The init is compiled from this package, so it imports next to nothing.
//
// # Frames
//
// The control socket is a byte stream. A frame is a header of four bytes, the
// type and then the length of the payload in 24 bits, little-endian, followed
// by the payload, at most MaxPayload bytes. A type that the receiver does not
// know, a longer payload, or a payload that is not exactly its message is the
// end of the conversation: nobody guesses.
//
// # Conversation
//
// The host speaks first and init answers, so that a sandbox that was restored
// from a snapshot, where init long since waits for work, is addressed exactly
// like a new one. Nothing crosses the socket while nobody asked for anything,
// so a snapshot never cuts a frame in two.
//
//	Greet                              -> Hello
//	Mkdir                              -> Done
//	PutBegin PutData... | PutAbort     -> Done, after Size bytes or the abort
//	Run Arg... Env...                  -> Started | StartFailed
//	Run Arg... Env..., with a Hold     -> Held | StartFailed
//	Open                               -> Held | StartFailed
//	Release                            -> Started | StartFailed
//	Collect                            -> (FileBegin FileData... (FileEnd | FileBad) | Skipped)... CollectEnd
//	Stdin StdinEOF Discard Signal Shutdown: no answer
//
// A host that knows what it wants need not wait for one answer before it asks for
// more: several puts, and a Release behind them, are answered in their order.
//
// A program that was started sends Stdout, Stderr, StdinCredit and StdinClosed
// at any time and ends with one Exited. Fatal may come at any time and is the
// last frame. Stdin is sent on credit: StdinWindow bytes at first, more with
// each StdinCredit, so that input never stands in the way of a Signal.
package wire
