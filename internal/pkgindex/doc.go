// Package pkgindex is the package index that an installation sees: a gateway in
// this process to the operator's indexes and to a directory of wheels.
//
// An installation runs in a sandbox whose only network is this gateway, by plain
// HTTP and without credentials. What the indexes need (TLS, passwords, a proxy)
// stays here: pages are fetched, their links are replaced by ones of our own,
// and files are passed on as they are asked for. A link that was on no page
// cannot be asked for.
//
// # Sources
//
// A project's page is that of the directory of wheels and of each index, put
// together: the simple repository API, HTML or JSON (PEP 503, PEP 691). A file
// name that several have is taken from the first of them. Files that are not
// wheels are left out unless source distributions are allowed, because building
// one runs code of whoever wrote it.
//
// # Trust
//
// The operator's indexes are trusted to say what a package is. Where their links
// lead is not: files are fetched from the index's own host, or from addresses
// that a netguard.Guard allows. Pages and files are bounded in size.
package pkgindex
