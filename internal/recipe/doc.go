// Package recipe makes images of small files: a base, packages and files.
//
//	name: acme/data:1            # what the image is called
//	base: debian:12-slim         # an image, pulled if it is not here; left out: this machine's Python
//	requirements: [pandas==2.2.3]
//	files:
//	  - {source: tool.py, path: /opt/tool/tool.py, mode: "0755"}
//	  - {source: models, path: /opt/models}
//	env: {MODEL: /opt/models/small}
//	workdir: /opt/tool
//	user: "1000"
//
// What comes of it is an image like any other (oci.Store.Compose): the base's
// layers, one of packages, one of files. Nothing of the base is executed but its
// installer of packages, in a sandbox. The same recipe, files and base make the
// same image.
//
// Packages are in PackagesDir and not where those of a job are
// (environment.PackagesDir), which is mounted over: a job type may put packages
// of its own on top. Theirs are found first.
//
// A destination is a path of the base: links in it are followed, inside the base.
// Of files the content and whether they can be executed count, not owners and
// times.
package recipe
