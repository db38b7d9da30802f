package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/oci"
)

func (a *app) newEnvCopyCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "copy REF --from DIR", Short: "Take an image over from another data directory", Args: imageNames(oneID("image")),
		Long: `Take an image over from another data directory, under the same name. Where both are
on one file system it takes no space. Each directory's image is its own then: it
stays when the other is removed. It can be run in, and not be the base of another.`,
		Example: "  TAKO_VM_DATA_DIR=/srv/tako tako env copy acme/data:1 --from ~/.tako_vm",
	}
	cmd.Flags().StringVar(&from, "from", "", "the other data `directory`")
	return a.envCommand(cmd, func(ctx context.Context, r *remote, store *oci.Store, args []string) error {
		if _, err := os.Stat(filepath.Join(from, "cache", "images")); from == "" || err != nil { // opening it would make it
			return usageError("--from %q is no data directory with images", from)
		}
		cfg, err := a.config()
		if err != nil {
			return err
		}
		other, err := assembly.OpenOtherImages(cfg, from)
		if err != nil {
			return err
		}
		image, err := store.Adopt(ctx, other, args[0])
		if err != nil {
			return err
		}
		return r.say(image, func() { r.pulled(image) })
	})
}
