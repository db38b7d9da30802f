// Package build makes layers of packages: it runs an installation in a sandbox
// and keeps what that leaves as a read-only file system beside an environment's.
//
// # An installation
//
// It is an attempt like any other, in the environment that the packages are
// for, whose only network is a gateway to the operator's indexes (pkgindex). The
// installer is the environment's own: uv where it has it, else pip; npm for npm
// packages. Of source distributions nothing is run, unless the operator allows
// them, and of npm packages no script. What was
// installed comes out as a tar on standard output, which is held for as hostile
// as any image (oci.Unpack); what the installer says is the build's log.
//
// # Layers
//
// A layer is named by the digest of its files, so that equal sets are one, and
// never changes. Which one an environment and a list of requirements came to is
// remembered: whoever asks again gets it without an installation, until it is
// told to be made anew.
//
//	packages/<key>.json   a list of requirements, and the layer it came to
//	packages/<key>.lock   held (flock) by the one process that installs it
//	packages/env-<digest>.json  an environment with a layer: what both are
//	packages/env-<digest>.locked  what is in it, as lock files of the installers
//	packages/all.lock     shared by whoever looks for a layer, exclusive for whoever
//	                      removes some
//
// The time of a record is that of its last use. Collect removes layers that
// nothing needs and that were not used for long.
//
// What a list of requirements came to on one day may be something else on
// another. Versions of job types keep their environment by its digest.
package build
