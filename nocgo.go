//go:build !cgo

package tako

const cgo = false
