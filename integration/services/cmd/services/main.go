// Command services fetches and runs the servers that the tests talk to.
//
//	services fetch [SERVER…]             put what they need into the cache
//	services run [SERVER…] -- CMD ARG…   start them, run CMD with SLUICE_TEST_… set, end them
//	services up [SERVER…]                start them in the background
//	services env                         print what a shell needs to use them: eval "$(services env)"
//	services down                        end what up started
//
// SERVER is one of postgres, s3, elasticsearch, kafka; without one it is all.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/sluicehub/sluice/integration/services"
)

func main() {
	code, err := command(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

const usage = "usage: services fetch [SERVER…] | run [SERVER…] -- CMD ARG… | up [SERVER…] | env | down"

func command(args []string) (int, error) {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch verb {
	case "fetch":
		err = services.Fetch(ctx, progress(), args...)
	case "run":
		return run(ctx, args)
	case "up":
		err = up(ctx, args)
	case "serve": // what up leaves in the background
		err = serve(ctx, args)
	case "env":
		err = printEnv(ctx)
	case "down":
		err = down(ctx)
	default:
		return 2, errors.New(usage)
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// progress returns a function that several goroutines may call to print a line.
func progress() func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stderr, "services:", line)
	}
}

// run gives the exit code of CMD. An interrupt reaches CMD too, being of the
// same process group; the servers end after it.
func run(ctx context.Context, args []string) (int, error) {
	at := slices.Index(args, "--")
	if at < 0 || at == len(args)-1 {
		return 2, errors.New(usage)
	}
	set, err := services.Start(ctx, progress(), args[:at]...)
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(args[at+1], args[at+2:]...)
	cmd.Env = append(os.Environ(), set.Env()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	closed := set.Close()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), closed
	}
	if err = errors.Join(err, closed); err != nil {
		return 1, err
	}
	return 0, nil
}
