package cli

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
)

const rootLong = `Tako runs code that nobody trusts in sandboxes of their own: each job gets a
fresh gVisor kernel, no network, no host files, and limits that hold.

    tako run -c 'print(1+1)'       run a program, without a server
    tako server                    serve the API on http://localhost:8000
    tako jobs list                 look at the jobs of that server
    tako doctor                    what isolation this machine gives

Exit codes: 0 done, 1 failed, 2 usage; "tako run" has the program's own. All of
them: tako help exit-codes.

The configuration is the file that --config or -c names, else that of TAKO_VM_CONFIG,
else the first of ./tako_vm.yaml, ./config/tako_vm.yaml, ~/.tako_vm/config.yaml
and /etc/tako_vm/config.yaml. Variables override it: tako help environment.
Without any, the defaults hold.`

// section is commands that stand together in the help.
type section struct {
	id, title string
	commands  []*cobra.Command
}

func (a *app) sections() []section {
	return []section{
		{"run", "Run code:", []*cobra.Command{a.newRunCommand(), a.newServerCommand(), a.newMCPCommand()}},
		{"server", "Ask a server:", []*cobra.Command{a.newStatusCommand(), a.newJobsCommand(), a.newDLQCommand(), a.newKeysCommand(), a.newSecretsCommand()}},
		{"machine", "This machine:", []*cobra.Command{a.newEnvCommand(), a.newNetCommand(), a.newConfigCommand(), a.newValidateCommand(),
			a.newDoctorCommand(), a.newBackupCommand(), a.newBenchCommand()}},
		{"help", "Help:", []*cobra.Command{a.newCompletionCommand(), a.newManCommand(), a.newVersionCommand()}},
	}
}

func (a *app) newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "tako",
		Short:         "Run untrusted code in isolated sandboxes",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(cmd.Help(), &exitError{code: exitFailed}) // as Tako VM's command has it
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true // newCompletionCommand is in our words
	root.PersistentFlags().StringVarP(&a.configPath, "config", "c", "", configUsage)
	root.SetFlagErrorFunc(flagError)
	for _, s := range a.sections() {
		root.AddGroup(&cobra.Group{ID: s.id, Title: s.title})
		for _, c := range s.commands {
			c.GroupID = s.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(a.newSetupCommand(), a.newDevCommand())
	root.AddCommand(topics()...)
	help := newHelpCommand()
	help.GroupID = "help"
	root.SetHelpCommand(help)
	root.InitDefaultHelpCmd() // it is found before it is asked for
	return root
}

// newHelpCommand is help that says what it does not know.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Print the help of a command or a topic",
		Long: `Print the help of a command, as its --help does, or of a topic: exit-codes or
environment.`,
		Example: "  tako help jobs list\n  tako help exit-codes",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			at, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []cobra.Completion
			for _, c := range at.Commands() {
				if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := misnamed(cmd.Root(), args); err != nil {
				return err
			}
			at, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return usageError("%s has no command %q; see %s --help", at.CommandPath(), rest[0], at.CommandPath())
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	}
}

// ask is where cobra answers shells: a command that no help lists.
func ask(word string) bool {
	return slices.Contains([]string{cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, word)
}
