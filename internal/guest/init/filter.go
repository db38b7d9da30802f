package main

// User code runs under a seccomp filter that init puts on it just before exec.
// It is a constant (filter_amd64.go): a sandbox need not compile it, and only
// the program's own threads carry it through a snapshot.

const (
	sysSeccomp           = 317
	seccompSetModeFilter = 1 // linux/seccomp.h
)

// filterInstruction is struct sock_filter, filterProgram struct sock_fprog of
// linux/filter.h.
type filterInstruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

type filterProgram struct {
	length uint16
	code   *filterInstruction
}
