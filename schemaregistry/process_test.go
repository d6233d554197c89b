package schemaregistry

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// childBroker tells a child of this test which broker its registry uses.
const childBroker = "SLUICE_TEST_REGISTRY_BROKER"

func TestMain(m *testing.M) {
	if broker := os.Getenv(childBroker); broker != "" {
		os.Exit(serveAsChild(broker))
	}
	os.Exit(m.Run())
}

// serveAsChild serves a registry until its parent closes standard input, or kills it.
func serveAsChild(broker string) int {
	r, err := New(context.Background(), Options{Kafka: []kgo.Opt{kgo.SeedBrokers(broker)}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	go func() { _ = http.Serve(l, r.Handler(nil)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// node is a registry in a process of its own.
type node struct {
	cmd *exec.Cmd
	url string
}

func startNode(t *testing.T, broker string) *node {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childBroker+"="+broker)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe() // closed when we end, however that is
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &node{cmd: cmd}
	t.Cleanup(func() { in.Close(); n.kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	n.url = "http://" + strings.TrimSpace(address)
	return n
}

func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}
