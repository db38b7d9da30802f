package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/takovm/tako/internal/config"
)

// misnamed is the error of a command line that names no command. Cobra would
// say so after --help only, and answer "tako serve --help" with other help.
func misnamed(root *cobra.Command, args []string) error {
	cmd, rest, err := root.Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return err
	}
	word := firstWord(rest)
	if word == "" || ask(word) {
		return nil
	}
	return unknownCommand(cmd, word)
}

// firstWord is the first argument that is neither a flag nor the file of one.
// Groups of commands have no other flags with values.
func firstWord(args []string) string {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return ""
		case arg == "--config" || arg == "-c":
			if len(args) > 0 {
				args = args[1:]
			}
		case !strings.HasPrefix(arg, "-"):
			return arg
		}
	}
	return ""
}

// noCommand refuses the arguments of a group of commands.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return nil
}

func unknownCommand(at *cobra.Command, word string) error {
	what := "unknown command"
	if at.HasParent() {
		what = at.CommandPath() + " has no command"
	}
	if meant := meant(at, strings.ToLower(word)); meant != "" {
		return usageError("%s %q; did you mean %s? See %s --help", what, word, meant, at.CommandPath())
	}
	return usageError("%s %q; see %s --help", what, word, at.CommandPath())
}

// meant is the command, or the commands, that a word may stand for: one that
// goes by that name elsewhere, one a level below, or the nearest name.
func meant(at *cobra.Command, word string) string {
	var names, below []string
	for _, c := range at.Commands() {
		for _, other := range c.SuggestFor {
			if other == word {
				return c.CommandPath()
			}
		}
		if !c.IsAvailableCommand() {
			continue
		}
		names = append(names, c.Name())
		for _, under := range c.Commands() {
			if under.Name() == word {
				below = append(below, under.CommandPath())
			}
		}
	}
	if n := len(below); n > 0 && n <= 3 { // of "list" there is too much to say
		return strings.Join(below, " or ")
	}
	if near := config.Nearest(word, names); near != "" {
		return at.CommandPath() + " " + near
	}
	return ""
}

// flagError says what is wrong with a flag, and names the nearest one.
func flagError(cmd *cobra.Command, err error) error {
	see := cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return usageError("%s; see %s", err, see)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return usageError("%s; did you mean --%s? See %s", err, near, see)
	}
	return usageError("%s; see %s", err, see)
}
