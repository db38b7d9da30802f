package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// newSetupCommand is for those who come from Tako VM, where it pulled an image.
func (a *app) newSetupCommand() *cobra.Command {
	doctor := a.newDoctorCommand()
	doctor.Use, doctor.Short = "setup", "Same as doctor: there is nothing to set up"
	doctor.Hidden = true
	return doctor
}

// newDevCommand is for those who come from Tako VM, where it started a database.
func (a *app) newDevCommand() *cobra.Command {
	say := func(use string) *cobra.Command {
		// Whatever flags it had are of no importance, but for --json.
		return &cobra.Command{Use: use, Short: "Nothing to do", DisableFlagParsing: true, RunE: func(_ *cobra.Command, args []string) error {
			const nothing = "Nothing to do: tako needs no database server and no Docker. tako server starts everything."
			r := &remote{app: a, json: slices.Contains(args, "--json")}
			return r.say(map[string]string{"detail": nothing}, func() { r.printf("%s\n", nothing) })
		}}
	}
	cmd := group("dev", "No longer needed: there is no database to start", say("up"), say("down"), say("status"))
	cmd.Hidden = true
	return cmd
}
