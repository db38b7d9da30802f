package cli

import "github.com/spf13/cobra"

// newSetupCommand is for those who come from Tako VM, where it pulled an image.
func (a *app) newSetupCommand() *cobra.Command {
	doctor := a.newDoctorCommand()
	doctor.Use, doctor.Short = "setup", "Same as doctor: there is nothing to set up"
	doctor.Hidden = true
	return doctor
}

// newDevCommand is for those who come from Tako VM, where it started a database.
func (a *app) newDevCommand() *cobra.Command {
	r := &remote{app: a}
	say := func(use string) *cobra.Command {
		return &cobra.Command{Use: use, DisableFlagParsing: true, RunE: func(*cobra.Command, []string) error {
			r.printf("Nothing to do: tako needs no database server and no Docker. tako server starts everything.\n")
			return nil
		}}
	}
	cmd := group("dev", "No longer needed: there is no database to start", say("up"), say("down"), say("status"))
	cmd.Hidden = true
	return cmd
}
