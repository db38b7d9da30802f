// Package config is the operator's configuration: one struct, filled from
// defaults, then one YAML file, then environment variables.
//
// The tables in keys.go and jobtype.go are the single source of truth. A row
// holds a key's name in YAML, its environment variable, default, rule, unit
// and place in the struct; defaults, decoding, validation, display and Keys,
// the listing for docs and commands, all read the rows.
//
// Keys and defaults are those of Tako VM 0.3, so that its files load
// unchanged, with two differences in defaults: max_queue_size is 10,000 and an
// unset database_url means SQLite below data_dir. Loading has no side effect:
// nothing is created, no global is read that Options does not name.
//
// Values are hidden from errors. Secrets are of type Secret, which masks
// itself wherever it is printed or encoded.
package config
