package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takovm/tako/internal/config"
)

// exitMeaning is what an exit code of tako says.
type exitMeaning struct {
	code int
	says string
}

func exitMeanings() []exitMeaning {
	return []exitMeaning{
		{exitDone, "done"},
		{exitFailed, "failed: the configuration is wrong, the job failed, or there is no such thing"},
		{exitUsage, "usage: the command line is wrong, and nothing was done"},
		{exitUnreachable, "no server at the address"},
		{exitDenied, "the API key is missing, or may not do this"},
		{exitTimeout, "the time of the program ran out"},
		{exitTako, "tako could not do its part: engine, disk, configuration"},
		{exitInterrupted, "interrupted: Ctrl-C, SIGTERM or SIGHUP"},
		{exitOOM, "the memory of the program ran out"},
		{exitPipe, "nobody reads standard output any more"},
	}
}

// exitsKey is the annotation with the exit codes that a command has.
const exitsKey = "exit codes"

// exits notes the exit codes of a command. Those without a note have the ones
// of a command on this machine.
func exits(cmd *cobra.Command, codes ...int) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[exitsKey] = strings.Trim(fmt.Sprint(codes), "[]")
}

// exitsOf are the exit codes of a command, with what they say.
func exitsOf(cmd *cobra.Command) []exitMeaning {
	noted, ok := cmd.Annotations[exitsKey]
	if !ok {
		noted = fmt.Sprint(exitDone, exitFailed, exitUsage, exitTako, exitInterrupted)
	}
	has := map[string]bool{}
	for code := range strings.FieldsSeq(noted) {
		has[code] = true
	}
	var list []exitMeaning
	for _, m := range exitMeanings() {
		if has[strconv.Itoa(m.code)] {
			list = append(list, m)
		}
	}
	return list
}

// topics are help without a command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes of tako say", Long: exitTopic()},
		{Use: "environment", Short: "Variables that tako reads", Long: variableTopic()},
	}
}

func exitTopic() string {
	var b strings.Builder
	b.WriteString("Exit codes of tako:\n\n")
	for _, m := range exitMeanings() {
		fmt.Fprintf(&b, "    %-4d %s\n", m.code, m.says)
	}
	b.WriteString(`
"tako run" ends with the program's own code unless its time (124) or memory (137)
ran out, tako failed (125) or somebody interrupted it (130). A shell's meanings
hold for the program: 126 it cannot be executed, 127 it is not there, 128 and N
a signal N ended it. "tako run --json" says which it was: ended_by and exit_code.`)
	return b.String()
}

// variableTopic has the variables of the configuration's table, so that none is
// missing.
func variableTopic() string {
	var b strings.Builder
	b.WriteString(`Variables that tako reads. Commands that ask a server:

    TAKO_URL       its address (default http://localhost:8000); --url comes first
    TAKO_API_KEY   the API key; there is no flag, which others could see

The configuration, each with the key that it overrides; "tako config" prints the
values in force and where they come from:

`)
	fmt.Fprintf(&b, "    %-46s  %s\n", "TAKO_VM_CONFIG", "the file itself; --config comes first")
	for _, k := range config.Keys() {
		if k.Env != "" && !k.NotYet {
			fmt.Fprintf(&b, "    %-46s  %s\n", k.Env, k.Name)
		}
	}
	b.WriteString(`
XDG_DATA_HOME moves the data directory to $XDG_DATA_HOME/tako_vm.`)
	return b.String()
}
