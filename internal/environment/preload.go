package environment

import "path"

// PreloadFile is what an interpreter runs at its start, before it looks for its
// script, where it is there. Only tako puts it there, for what is held and
// saved; it removes itself. The directory is the sandbox user's, so a job may
// use it for its own interpreters.
const PreloadFile = "/app/.tako-preload"

// preloadHook is the line of a .pth file that runs it (Python's site module).
const preloadHook = `import os; os.path.exists("` + PreloadFile + `") and exec(compile(open("` + PreloadFile + `").read(), "` + PreloadFile + `", "exec"), {})` + "\n"

// hookName is the file's, in a directory of packages.
const hookName = "tako-preload.pth"

// packageDirs are where interpreters look for packages of the system.
func packageDirs(minor string) []string {
	return []string{"/usr/lib/python3/dist-packages", "/usr/lib64/python" + minor + "/site-packages", "/usr/lib/python" + minor + "/site-packages"}
}

// writePreloadHook adds the hook where this Python looks for packages. Without
// such a place nothing is preloaded.
func (p *plan) writePreloadHook(minor string) error {
	for _, dir := range packageDirs(minor) {
		real, at, _, err := p.host.resolve(dir)
		if err != nil {
			return err
		}
		if at.dir() {
			p.write(path.Join(real, hookName), []byte(preloadHook))
			return nil
		}
	}
	return nil
}

// preloads reports whether the hook is in the image.
func (p *plan) preloads() bool {
	for name, e := range p.entries {
		if path.Base(name) == hookName && string(e.data) == preloadHook {
			return true
		}
	}
	return false
}
