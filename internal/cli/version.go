package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
)

// version is set by the linker in released binaries.
var version string

// takoVersion is the version of this binary: the linker's, else the module's.
func takoVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func (a *app) newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of tako and of the engine that is linked in",
		Long:  "Print the version of tako, of the engine that is linked in, and of Go, a line each.",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			info := assembly.EngineInfo()
			fmt.Fprintf(a.streams.Out, "tako %s\n%s %s\n%s %s/%s\n",
				takoVersion(), info.Name, info.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// noArgs refuses arguments with a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}
