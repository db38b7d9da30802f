package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	tako "github.com/takovm/tako/sdk/go"
)

const defaultURL = "http://localhost:8000"

// remote is how commands that talk to a server find it, and how they answer.
type remote struct {
	app  *app
	url  string
	json bool
}

const remoteHelp = `

The server is the one of --url, else of TAKO_URL, else http://localhost:8000;
the API key is that of TAKO_API_KEY. Exit codes: 0 done, 1 failed or not found,
69 the server cannot be reached, 77 the key is missing or not allowed.`

// remoteCommand adds the flags that all of these commands have.
func (a *app) remoteCommand(cmd *cobra.Command) (*cobra.Command, *remote) {
	r := &remote{app: a}
	cmd.Long = strings.TrimSpace(cmd.Long) + remoteHelp
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // ids are the server's
	}
	exits(cmd, exitDone, exitFailed, exitUsage, exitUnreachable, exitDenied, exitTako, exitInterrupted)
	r.flags(cmd)
	return cmd, r
}

func (r *remote) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.url, "url", "", "`URL` of the server (default $TAKO_URL, or "+defaultURL+")")
	cmd.Flags().BoolVar(&r.json, "json", false, "print the server's answer as JSON")
}

// given is the URL that somebody named; empty for none.
func (r *remote) given() string {
	if r.url != "" {
		return r.url
	}
	return os.Getenv("TAKO_URL")
}

func (r *remote) client() (*tako.Client, error) {
	url := r.given()
	if url == "" {
		url = defaultURL
	}
	c, err := tako.New(url, tako.Options{APIKey: os.Getenv("TAKO_API_KEY"), UserAgent: "tako-cli"})
	if err != nil {
		return nil, usageError("--url: %s", err)
	}
	return c, nil
}

// failure gives an error of the client its exit code.
func failure(err error) error {
	code := exitFailed
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled): // report knows by what
		return err
	case errors.Is(err, tako.ErrUnreachable):
		code = exitUnreachable
	case errors.Is(err, tako.ErrUnauthorized), errors.Is(err, tako.ErrForbidden):
		code = exitDenied
	}
	msg := err.Error()
	if code == exitUnreachable {
		msg += "; start one with tako server, or name another with --url"
	}
	return &exitError{code: code, msg: msg}
}

// say prints an answer: as JSON, or with human.
func (r *remote) say(answer any, human func()) error {
	if !r.json {
		human()
		return nil
	}
	e := json.NewEncoder(r.app.streams.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(answer); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	return nil
}

// printf prints for people. Texts are printable: what others wrote, a server for
// one, may not drive the terminal.
func (r *remote) printf(format string, args ...any) {
	for i, a := range args {
		if text := reflect.ValueOf(a); text.Kind() == reflect.String {
			args[i] = oneLine(text.String())
		}
	}
	fmt.Fprintf(r.app.streams.Out, format, args...)
}

// table prints rows in columns. Cells are printable: what others wrote may not
// drive the terminal.
func (r *remote) table(header string, rows func(row func(cells ...any))) {
	w := tabwriter.NewWriter(r.app.streams.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(func(cells ...any) {
		texts := make([]string, len(cells))
		for i, c := range cells {
			texts[i] = oneLine(fmt.Sprint(c))
		}
		fmt.Fprintln(w, strings.Join(texts, "\t"))
	})
	w.Flush()
}

// clock is a time as a table has it.
func clock(t *tako.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// took is a duration as a table has it.
func took(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return (time.Duration(*ms) * time.Millisecond).String()
}

// orDash is a value that may not be there.
func orDash[T any](v *T) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprint(*v)
}

// oneID takes exactly one argument.
func oneID(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError("%s takes one %s, but got %d arguments", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// someIDs takes one argument or more.
func someIDs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError("%s takes at least one %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// group is a command of commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}
