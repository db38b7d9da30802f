// Package archtest holds the shape of the tree by machine: which package may
// import which, and a few habits that reviews forget. It has tests only.
package archtest
