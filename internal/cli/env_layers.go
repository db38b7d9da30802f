package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	packages "github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/oci"
)

// layers opens the layers of packages of the data directory.
func (a *app) layers(ctx context.Context) (*assembly.Layers, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return assembly.OpenLayers(ctx, cfg)
}

// layerNamed opens the layers where an argument names one of them and no image:
// nil where it does not.
func (a *app) layerNamed(ctx context.Context, store *oci.Store, arg string) (*assembly.Layers, error) {
	if !packages.IsDigest(arg) {
		return nil, nil
	}
	if _, err := store.Show(arg); err == nil {
		return nil, nil
	}
	return a.layers(ctx)
}

func (a *app) listAll(ctx context.Context, r *remote, images []*oci.Image) error {
	layers, err := a.layers(ctx)
	if err != nil {
		return err
	}
	list, err := layers.List()
	if err != nil {
		return err
	}
	answer := struct {
		Images []*oci.Image     `json:"images"`
		Layers []packages.Layer `json:"layers"`
	}{images, append([]packages.Layer{}, list...)}
	return r.say(answer, func() {
		r.images(images)
		if len(list) == 0 {
			r.printf("\nNo layers of packages.\n")
			return
		}
		r.printf("\n")
		r.table("LAYER\tPACKAGES\tSIZE\tLAST USED\tNEEDED BY", func(row func(...any)) {
			for i := range list {
				row(short(list[i].Digest), asked(&list[i]), fmt.Sprintf("%d MiB", list[i].Size>>20), list[i].Used.Local().Format(time.DateTime), list[i].NeededBy)
			}
		})
	})
}

// asked is what a layer was asked for, each list once.
func asked(l *packages.Layer) string {
	var lists []string
	for _, list := range l.Requirements {
		lists = append(lists, strings.Join(list, ", "))
	}
	if lists == nil { // this machine's npm is such a layer
		return "no list that is known"
	}
	return strings.Join(lists, "; ")
}

func (r *remote) showLayer(layers *assembly.Layers, digest string, err error) error {
	if err != nil {
		return err
	}
	l, err := layers.Show(digest)
	if err != nil {
		return err
	}
	return r.say(l, func() {
		needed := l.NeededBy
		if needed == "" {
			needed = "nothing but what has used it"
		}
		for _, row := range [][2]string{
			{"Layer", l.Digest}, {"Packages", asked(l)}, {"Installed", strings.Join(l.Installed, ", ")}, {"Size", fmt.Sprintf("%d MiB", l.Size>>20)},
			{"Made", l.Made.Local().Format(time.DateTime)}, {"Last used", l.Used.Local().Format(time.DateTime)}, {"Needed by", needed},
		} {
			r.printf("%-12s %s\n", row[0]+":", oneLine(row[1]))
		}
	})
}

// freed is what removing something has brought.
type freed struct {
	Removed    []string `json:"removed,omitempty"`
	FreedBytes int64    `json:"freed_bytes"`
}

func (a *app) newEnvRemoveCommand() *cobra.Command {
	return a.envCommand(&cobra.Command{
		Use: "rm (REF | LAYER)...", Short: "Remove images and layers of packages", Args: imageNames(someIDs("image")),
		Long:       "Remove images, and what no other image has in common with them; or layers of packages,\nby digest, which are installed again when somebody asks for them. What runs in one goes\non.",
		SuggestFor: []string{"remove", "delete", "rmi"}, Example: "  tako env rm python:3.12-slim",
	}, func(ctx context.Context, r *remote, store *oci.Store, args []string) error {
		var f freed
		var failed error
		for _, ref := range args {
			n, err := a.removeOne(ctx, store, ref)
			f.FreedBytes += n
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			f.Removed = append(f.Removed, ref)
		}
		err := r.say(f, func() {
			for _, ref := range f.Removed {
				r.printf("removed %s\n", oneLine(ref))
			}
		})
		return errors.Join(failed, err)
	})
}

// removeOne removes an image or a layer.
func (a *app) removeOne(ctx context.Context, store *oci.Store, ref string) (int64, error) {
	layers, err := a.layerNamed(ctx, store, ref)
	if err != nil {
		return 0, err
	}
	if layers == nil {
		return store.Remove(ctx, ref)
	}
	l, err := layers.Remove(ctx, ref)
	if err != nil {
		return 0, err
	}
	return l.Size, nil
}

func (a *app) newEnvGCCommand() *cobra.Command {
	var older string
	cmd := &cobra.Command{
		Use: "gc", Short: "Remove what nothing needs", Args: noArgs, SuggestFor: []string{"prune", "clean"},
		Example: "  tako env gc\n  tako env gc --older-than 7d",
		Long: `Remove what no image needs any more (layers, environments and downloads that broke
off), and layers of packages that no job type and no version of one needs and that
nobody has used for long. It waits until nobody pulls, builds or installs. A server
does the latter by itself, once an hour.`,
	}
	cmd.Flags().StringVar(&older, "older-than", "", "remove packages that were not used for this `age`, as 30d or 12h (default execution_record_ttl_days)")
	return a.envCommand(cmd, func(ctx context.Context, r *remote, store *oci.Store, _ []string) error {
		cfg, err := a.config()
		if err != nil {
			return err
		}
		age := assembly.LayerLife(cfg)
		if older != "" {
			if age, err = parseAge(older); err != nil {
				return err
			}
		}
		layers, err := a.layers(ctx)
		if err != nil {
			return err
		}
		var f freed
		gone, err := layers.Collect(ctx, time.Now().Add(-age))
		for _, l := range gone {
			f.Removed, f.FreedBytes = append(f.Removed, l.Digest), f.FreedBytes+l.Size
		}
		if err != nil {
			return err
		}
		n, err := store.GC(ctx)
		f.FreedBytes += n
		if err != nil {
			return err
		}
		return r.say(f, func() {
			for i := range gone {
				r.printf("removed the packages %s, last used %s\n", oneLine(asked(&gone[i])), gone[i].Used.Local().Format(time.DateTime))
			}
			r.printf("freed %d MiB\n", f.FreedBytes>>20)
		})
	})
}
