// Package pkgindex is the package index that an installation sees: a gateway in
// this process to the operator's indexes, to a registry of npm packages and to a
// directory of both kinds.
//
// An installation runs in a sandbox whose only network is this gateway, by plain
// HTTP and without credentials. What the indexes need (TLS, passwords, a proxy)
// stays here: pages are fetched, their links are replaced by ones of our own,
// and files are passed on as they are asked for. A link that was on no page
// cannot be asked for.
//
// # Sources
//
// A project is that of the first source that has one of its name: the directory
// of wheels, then the indexes in their order. What is known by that name further
// on is never seen, and nothing is while an index before it does not answer: a
// stranger's package does not take the place of one's own. Pages are the simple
// repository API, HTML or JSON (PEP 503, PEP 691). Files that are not wheels are
// left out unless source distributions are allowed, because building one runs
// code of whoever wrote it.
//
// # npm
//
// The gateway is a registry, too, as far as an installer asks it: a page for each
// package, in the abbreviated form, written anew with what is known to be of use,
// and the files that it names. Checksums are the registry's, and npm compares
// them. In the directory, a package is a file as npm pack makes it.
//
// # Trust
//
// The operator's indexes are trusted to say what a package is. Where their links
// lead is not: files are fetched from the index's own host, or from addresses
// that a netguard.Guard allows. Pages and files are bounded in size.
package pkgindex
