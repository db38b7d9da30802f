package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/job"
)

const completionLong = `Print what makes a shell complete commands, flags and their values. For this
shell only, or for all to come:

    source <(tako completion bash)
    tako completion bash > /etc/bash_completion.d/tako

    source <(tako completion zsh)
    tako completion zsh > "${fpath[1]}/_tako"

    tako completion fish | source
    tako completion fish > ~/.config/fish/completions/tako.fish

    tako completion powershell | Out-String | Invoke-Expression

Bash needs its package bash-completion.`

func (a *app) newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion (bash | zsh | fish | powershell)",
		Short:     "Print the completion of a shell",
		Long:      completionLong,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError("tako completion takes one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, to := cmd.Root(), a.streams.Out
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(to, true)
			case "zsh":
				err = root.GenZshCompletion(to)
			case "fish":
				err = root.GenFishCompletion(to, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(to)
			}
			if err != nil {
				return fmt.Errorf("printing the completion: %w", err)
			}
			return nil
		},
	}
}

// completes has a flag's value completed with words.
func completes(cmd *cobra.Command, flag string, words ...string) {
	certain(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// completesTypes has a flag completed with the job types of the configuration.
// One that does not load has none: completion is no place to say so.
func (a *app) completesTypes(cmd *cobra.Command, flag string) {
	certain(cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		cfg, err := a.config()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		types, _, err := assembly.JobTypes(cfg)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := types.List(cmd.Context()) // nil with an error
		var names []cobra.Completion
		for _, t := range list {
			names = append(names, t.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
}

// certain is for what only a mistake in this package can break: a flag that is not
// there.
func certain(err error) {
	if err != nil {
		panic(err)
	}
}

// statuses are those of a job, in the order of its life.
func statuses() []string {
	var list []string
	for _, s := range []job.Status{job.Queued, job.Running, job.Succeeded, job.Failed, job.Timeout, job.OOM, job.Cancelled} {
		list = append(list, string(s))
	}
	return list
}

// directories completes an argument with names of directories.
func directories(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
