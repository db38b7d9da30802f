package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
	tako "github.com/takovm/tako/sdk/go"
)

// keyring is where keys are kept: behind a server, or in the database.
type keyring interface {
	CreateKey(ctx context.Context, r tako.KeyRequest) (*tako.CreatedKey, error)
	Keys(ctx context.Context) ([]tako.Key, error)
	DeleteKey(ctx context.Context, id string) (*tako.KeyRemoved, error)
}

const keysHelp = `

Without --url and TAKO_URL this works on the database of the configuration, also
beside a running server, which knows of it within 15 seconds.`

const keysLong = `Make, list and remove API keys. They count once api_auth_enabled is true:

    tako keys create --admin operator              the first one, beside the database
    export TAKO_API_KEY=tako_...                   what commands and clients send
    tako keys create --scope read,execute agent    one for a program

A key without the scope admin sees only what was made with it.`

func (a *app) newKeysCommand() *cobra.Command {
	cmd := group("keys", "Make, list and remove API keys", a.newKeysCreateCommand(), a.newKeysListCommand(), a.newKeysRemoveCommand())
	cmd.Long = keysLong
	cmd.SuggestFor = []string{"key", "apikeys"}
	return cmd
}

// keysCommand is a command on keys.
func (a *app) keysCommand(cmd *cobra.Command, run func(ctx context.Context, r *remote, ring keyring, args []string) error) *cobra.Command {
	cmd.Long += keysHelp
	return stored[keyring]{
		behind: func(c *tako.Client) keyring { return c },
		beside: func(ctx context.Context, cfg *config.Config) (keyring, io.Closer, error) {
			ring, err := assembly.OpenKeys(ctx, cfg)
			return ring, ring, err
		},
	}.command(a, cmd, run)
}

func (a *app) newKeysCreateCommand() *cobra.Command {
	var scopes []string
	var admin bool
	var expires string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an API key",
		Long: `Make an API key. The key is printed to standard output this once; it is not kept.
Its holder sees only what was made with it, unless it has the scope admin.`,
		Example: "  tako keys create --admin operator\n  tako keys create --scope read,execute --expires 90d agent",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && admin {
				return nil // the first one needs no name
			}
			return oneID("name")(cmd, args)
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{"read", "execute"}, "`scopes`, what it may do: read, execute, admin")
	completes(cmd, "scope", "read", "execute", "admin")
	cmd.Flags().BoolVar(&admin, "admin", false, "it may do everything, and sees everything")
	cmd.Flags().StringVar(&expires, "expires", "", "it ends after this `time`, such as 90d or 12h (default never)")
	return a.keysCommand(cmd, func(ctx context.Context, r *remote, ring keyring, args []string) error {
		req := tako.KeyRequest{Name: "admin", Scopes: scopes}
		if len(args) > 0 {
			req.Name = args[0]
		}
		if admin {
			req.Scopes = []string{"admin"}
		}
		for _, s := range req.Scopes {
			if !slices.Contains([]string{"read", "execute", "admin"}, s) {
				return usageError("--scope %q: there are read, execute and admin", s)
			}
		}
		if expires != "" {
			age, err := parseAge(expires)
			if err != nil {
				return err
			}
			req.ExpiresAt = time.Now().Add(age).UTC().Format(time.RFC3339)
		}
		k, err := ring.CreateKey(ctx, req)
		if err != nil {
			return failure(err)
		}
		return r.say(k, func() {
			r.printf("%s\n", k.APIKey)
			fmt.Fprintf(r.app.streams.Err, "tako: key %s, scopes %s; webhooks are signed with %s\n", oneLine(k.ID), oneLine(strings.Join(k.Scopes, ", ")), oneLine(k.WebhookSecret))
		})
	})
}

func (a *app) newKeysListCommand() *cobra.Command {
	return a.keysCommand(&cobra.Command{Use: "list", Short: "List API keys", Long: "List API keys, without the keys themselves.", Args: noArgs, Example: "  tako keys list", SuggestFor: []string{"ls"}},
		func(ctx context.Context, r *remote, ring keyring, _ []string) error {
			keys, err := ring.Keys(ctx)
			if err != nil {
				return failure(err)
			}
			return r.say(keys, func() {
				if len(keys) == 0 {
					r.printf("No keys. The first one: tako keys create --admin\n")
					return
				}
				r.table("ID\tNAME\tBEGINS WITH\tSCOPES\tCREATED\tEXPIRES\tLAST USED", func(row func(...any)) {
					for _, k := range keys {
						row(k.ID, k.Name, k.Prefix, strings.Join(k.Scopes, ","), clock(k.CreatedAt), clock(k.ExpiresAt), clock(k.LastUsedAt))
					}
				})
			})
		})
}

func (a *app) newKeysRemoveCommand() *cobra.Command {
	return a.keysCommand(&cobra.Command{
		Use: "rm ID", Short: "Remove an API key", Args: oneID("key's id"), SuggestFor: []string{"remove", "delete", "revoke"},
		Long:    "Remove an API key: nobody is let in with it any more. Its ID is in tako keys list.",
		Example: "  tako keys rm 5b1d...",
	},
		func(ctx context.Context, r *remote, ring keyring, args []string) error {
			k, err := ring.DeleteKey(ctx, args[0])
			if err != nil {
				return failure(err)
			}
			return r.say(k, func() { r.printf("removed %s\n", k.ID) })
		})
}
