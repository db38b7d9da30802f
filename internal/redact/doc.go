// Package redact masks secrets in what passes: output, files, answers.
//
// # What is found
//
// A value is found where its bytes stand one after the other: as they are; as
// encoders of JSON write them (RFC 8259; those of Go, Python, JavaScript, PHP, Java
// and .NET); percent-encoded (RFC 3986), with what common encoders leave as it is;
// and in base64 of both alphabets (RFC 4648), at each of the three
// offsets that it may have in what was encoded around it. Each is replaced by as
// many asterisks, so that sizes, offsets and framing stay what they were, and
// JSON stays JSON. It makes no difference how the bytes come in pieces.
//
// Where bytes pass while more are to come, what may be the beginning of a value
// waits. Who decides what is said and sees when it passes could find a value that
// way, character by character: for them a stream waits by lines (Masker.Lines).
//
// Nothing else is found: a value that is reversed, split, compressed, encrypted
// or written in another code passes. Who has a value can always write it so;
// this keeps it out of logs by accident, not from an adversary.
package redact
