//go:build cgo

package main

// cgo says that this binary needs a dynamic loader, which a sandbox's empty
// root does not have.
const cgo = true
