//go:build ignore

// Running code without a server: this program is executed again to be the sandbox.
//
//	CGO_ENABLED=0 go run in_process.go
//
// An ordinary user may need TAKO_VM_SECURITY_MODE=permissive, as for tako run.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/takovm/tako"
)

const code = `
import json
prices = json.load(open("/input/data.json"))["prices"]
print("adding", len(prices), "prices")
json.dump({"sum": sum(prices)}, open("/output/result.json", "w"))
open("/output/report.txt", "w").write("all is well")
`

func main() {
	tako.Child() // first of all: in a sandbox it does not return
	log.SetFlags(0)
	ctx := context.Background()

	result, err := tako.Run(ctx, code, tako.Options{
		Input:  map[string]any{"prices": []int{3, 4, 5}},
		Stdout: os.Stdout, // while it runs; result.Stdout has it, too
		Artifact: func(name string, size int64, r io.Reader) error {
			content, err := io.ReadAll(r)
			fmt.Printf("it left %s: %s\n", name, content)
			return err
		},
	})
	if err != nil { // it could not be run at all
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", result.Status, result.Output)

	// Code that does not end is no error: the result says what ended it.
	result, err = tako.Run(ctx, "while True: pass", tako.Options{Timeout: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, ended by %s\n", result.Status, result.EndedBy.Actor)

	// What cannot be run is one, with its kind.
	_, err = tako.Run(ctx, "print(1)", tako.Options{Memory: 1})
	var e *tako.Error
	if !errors.As(err, &e) {
		log.Fatalf("one byte of memory was not refused: %v", err)
	}
	fmt.Println(e.Kind, "-", e)
}
