package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/config"
)

func (a *app) newConfigCommand() *cobra.Command {
	r := &remote{app: a}
	cmd := &cobra.Command{
		Use: "config", Short: "Print the configuration in force", Args: noArgs,
		Long: `Print every key with its value and where that comes from: the file, a variable or
the default. Secrets are masked.`,
		SuggestFor: []string{"settings", "configuration"},
		Example:    "  tako config\n  tako config --show-defaults --config tako_vm.yaml\n  tako config --json",
	}
	cmd.Flags().BoolVar(&r.json, "json", false, "print the values as JSON")
	var defaults bool
	cmd.Flags().BoolVar(&defaults, "show-defaults", false, "print the defaults beside the values")
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := a.config()
		if err != nil {
			return &exitError{code: exitFailed, msg: err.Error()}
		}
		return r.say(cfg, func() { r.configuration(cfg, defaults) })
	}
	return cmd
}

func (r *remote) configuration(cfg *config.Config, defaults bool) {
	if cfg.File != "" {
		r.printf("File: %s\n", oneLine(cfg.File))
	} else {
		r.printf("File: none, the defaults hold\n")
	}
	known := map[string]config.Key{}
	for _, k := range config.Keys() {
		known[k.Name] = k
	}
	header := "KEY\tVALUE\tFROM"
	if defaults {
		header += "\tDEFAULT"
	}
	r.table(header, func(row func(...any)) {
		for _, e := range cfg.Entries() {
			cells := []any{e.Key, shown(e.Value), e.Source}
			if defaults {
				cells = append(cells, known[e.Key].Default)
			}
			row(cells...)
		}
	})
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(r.app.streams.Err, "tako: warning:", oneLine(w))
	}
}

// shown is a value in a table.
func shown(v any) string {
	text := fmt.Sprint(v)
	if text == "" || text == "[]" || text == "map[]" || text == "<nil>" {
		return "-"
	}
	return text
}

func (a *app) newValidateCommand() *cobra.Command {
	r := &remote{app: a}
	cmd := &cobra.Command{
		Use: "validate [FILE]", Short: "Check a configuration file",
		Long: `Check a configuration file, or the one that is looked for, together with the
variables of the environment. Nothing else is touched. Every problem is listed, with
the key and what it may be.`,
		SuggestFor: []string{"check", "lint"},
		Example:    "  tako validate tako_vm.yaml\n  tako validate --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError("tako validate takes one file, but got %d", len(args))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&r.json, "json", false, "print what was found as JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		path := a.configPath
		if len(args) > 0 {
			path = args[0]
		}
		cfg, err := config.Load(config.Host(path))
		if err == nil {
			err = assembly.CheckNetworks(cfg)
		}
		return r.validated(path, cfg, err)
	}
	return cmd
}

// validation is what validate found, as JSON.
type validation struct {
	File     string   `json:"file"`
	Valid    bool     `json:"valid"`
	Problems []string `json:"problems"`
	Warnings []string `json:"warnings"`
}

func (r *remote) validated(path string, cfg *config.Config, err error) error {
	v := validation{File: path, Valid: err == nil, Problems: []string{}, Warnings: []string{}}
	if cfg != nil && cfg.File != "" {
		v.File = cfg.File
	}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			v.Problems = append(v.Problems, p.String())
		}
	case err != nil:
		v.Problems = append(v.Problems, err.Error())
	case v.File == "":
		v.Valid, v.Problems = false, append(v.Problems, "no configuration file found; name one, or see tako --help for where they are looked for")
	default:
		v.Warnings = append(v.Warnings, cfg.Warnings()...)
	}
	if err := r.say(v, func() { r.verdict(v, cfg) }); err != nil {
		return err
	}
	if !v.Valid {
		return &exitError{code: exitFailed}
	}
	return nil
}

func (r *remote) verdict(v validation, cfg *config.Config) {
	r.printf("Validating: %s\n", orNone(oneLine(v.File)))
	if !v.Valid {
		r.printf("Validation FAILED:\n")
		for _, p := range v.Problems {
			r.printf("  - %s\n", oneLine(p))
		}
		return
	}
	mode := "DEVELOPMENT"
	if cfg.ProductionMode {
		mode = "PRODUCTION"
	}
	r.printf("Configuration is valid!\n  Mode: %s\n  Workers: %d\n  Max timeout: %ds\n  Job types defined: %d\n",
		mode, cfg.MaxWorkers, cfg.MaxTimeout, len(cfg.JobTypes))
	for _, w := range v.Warnings {
		r.printf("  Warning: %s\n", oneLine(w))
	}
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "none"
	}
	return s
}
