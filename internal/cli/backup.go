package cli

import (
	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
)

func (a *app) newBackupCommand() *cobra.Command {
	r := &remote{app: a}
	cmd := &cobra.Command{
		Use: "backup DIRECTORY", Short: "Copy records, queue and files while the server runs", Args: oneID("directory"),
		Long: `Make a new directory with a consistent copy of the database and of all files, each
verified, while the server goes on. The server's disk is not filled: what
disk_reserve keeps free stays free. To restore it, stop the server and let its
data_dir be that directory; images and snapshots are made again. The key of
secrets (secret_key_file) is not copied: who has both has the secrets, so keep it
elsewhere. Records in PostgreSQL are backed up with pg_dump.`,
		Example: "  tako backup /var/backups/tako-2026-11-24",
	}
	cmd.Flags().BoolVar(&r.json, "json", false, "print what was copied as JSON")
	cmd.ValidArgsFunction = directories
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		b, err := assembly.Backup(cmd.Context(), cfg, args[0])
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		return r.say(b, func() {
			r.printf("%s: the database and %d files (%d MiB)\n", b.Target, b.Blobs, b.Bytes>>20)
			if b.Missing > 0 {
				r.printf("%d files were removed before they could be copied\n", b.Missing)
			}
		})
	}
	return cmd
}
