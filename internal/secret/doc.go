// Package secret keeps values that only this installation can read.
//
// # At rest
//
// A value is sealed with AES-256-GCM (NIST SP 800-38D) under a random nonce, its
// name as additional data, so that values cannot be exchanged for each other in
// the database. A sealed value is
//
//	version 1 (1 byte) · id of the key (4) · nonce (12) · ciphertext and tag
//
// The key is in a file of its own, 64 hexadecimal digits, that only its owner may
// read. It is made when the first secret is stored. Servers that share a database
// need copies of one key file.
package secret
