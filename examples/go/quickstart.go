//go:build ignore

// What most Go programs need of a Tako server. Start one first: tako server.
//
//	go run quickstart.go
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	tako "github.com/takovm/tako/sdk/go"
)

func main() {
	log.SetFlags(0)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // bounds all that follows
	defer cancel()
	client, err := tako.New(cmp.Or(os.Getenv("TAKO_URL"), "http://localhost:8000"), tako.Options{APIKey: os.Getenv("TAKO_API_KEY")})
	if err != nil {
		log.Fatal(err)
	}
	for _, show := range []func(context.Context, *tako.Client) error{execute, follow, refused} {
		if err := show(ctx, client); err != nil {
			log.Fatal(err)
		}
	}
}

// execute runs code and waits for it. Code that fails is no error of the call:
// the answer says what became of it.
func execute(ctx context.Context, client *tako.Client) error {
	done, err := client.Execute(ctx, tako.ExecuteRequest{Code: "print(6 * 7)"})
	if err != nil {
		return err
	}
	fmt.Print("executed: ", done.Stdout)
	done, err = client.Execute(ctx, tako.ExecuteRequest{Code: "1 / 0"})
	if err != nil {
		return err
	}
	fmt.Println("failed:", *done.Error)
	return nil
}

// follow submits a job with a file, prints what it says while it runs, and
// reads the file that it leaves.
func follow(ctx context.Context, client *tako.Client) error {
	text := "tako"
	job, err := client.Submit(ctx, tako.ExecuteRequest{
		Code:  "text = open('/input/name.txt').read()\nprint('hello', text)\nopen('/output/upper.txt', 'w').write(text.upper())",
		Files: []tako.File{{Path: "name.txt", Text: &text}},
	})
	if err != nil {
		return err
	}
	// A connection that is lost is made again, and no event comes twice.
	for event, err := range client.Events(ctx, job.JobID, tako.EventsOptions{}) {
		if err != nil {
			return err
		}
		if event.Type != tako.EventStdout {
			continue
		}
		written, err := event.Bytes()
		if err != nil {
			return err
		}
		os.Stdout.Write(written)
	}
	record, err := client.Wait(ctx, job.JobID)
	if err != nil {
		return err
	}
	file, err := client.OpenArtifact(ctx, job.JobID, record.Artifacts[0].Name)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(file) // its digest is checked at the end
	if err != nil {
		return err
	}
	fmt.Printf("%s, and left %s: %s\n", record.Status, file.Name, content)
	return nil
}

// refused shows the two ways to look at an error: its kind, and all of it.
func refused(ctx context.Context, client *tako.Client) error {
	_, err := client.Status(ctx, "00000000-0000-0000-0000-000000000000")
	fmt.Println("there is none:", errors.Is(err, tako.ErrNotFound))

	seconds := -1
	_, err = client.Execute(ctx, tako.ExecuteRequest{Code: "print(1)", Timeout: &seconds})
	var e *tako.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("a timeout of -1 was not refused: %w", err)
	}
	fmt.Println("refused:", e.Status, e.Problems[0].Where())
	return nil
}
