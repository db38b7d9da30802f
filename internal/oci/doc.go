// Package oci makes environments of container images, without Docker and
// without executing anything: it fetches an image from a registry or takes it
// out of an archive, merges its layers into one tree, and has package
// environment pack that into one EROFS file.
//
// # The store
//
//	blobs/<sha256>      layers, configurations and manifests; never modified
//	partial/<sha256>    a download under way; a later one continues it
//	partial/*.tmp       unfinished; removed by GC
//	images/<key>.json   one record for each reference
//	lock                shared by whoever adds, exclusive for whoever removes
//
// Any number of processes share a store. Of a blob there is one, however many
// images have it, and one process at a time downloads it (flock on the partial
// file). Everything gets its name by rename, complete and verified; the record of
// an image is written last, so that a pull that fails leaves the previous version
// of the reference as it was.
//
// # What is trusted
//
// Nothing that comes from outside. Blobs are what their digests say and what
// their layers' diff ids say, or they are refused. Names in layers are keys of a
// tree in memory, links are texts in it: no path of an image is ever one of the
// host. Contents are in one nameless spool file. See Limits for what bounds all
// of it.
package oci
