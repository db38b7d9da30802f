//go:build cgo

package tako

// cgo says that this binary needs a dynamic loader, which a sandbox does not have.
const cgo = true
