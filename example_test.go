package tako_test

import (
	"context"
	"fmt"
	"log"

	"github.com/takovm/tako"
)

func ExampleRun() {
	// A program whose main begins with tako.Child needs no Executable. A test
	// has another main, so it names the tako command.
	result, err := tako.Run(context.Background(), "print('hello', 6 * 7)", tako.Options{Executable: "tako"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(result.Status, ": ", result.Stdout)
	// Output: succeeded: hello 42
}
