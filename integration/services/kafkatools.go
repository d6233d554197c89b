package services

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed KafkaTools.java
var kafkaToolsProgram []byte

// KafkaTools runs Kafka's own tools, one at a time, in one JVM: its start costs
// a second of processor time, what a tool does next to none. They work against
// any broker. It is for one goroutine.
type KafkaTools struct {
	cmd      *exec.Cmd
	ask      io.WriteCloser
	answer   io.Reader
	messages bytes.Buffer // of the JVM, and of what tools log
}

// StartKafkaTools starts the JVM, which ends with the test, or with ctx: then
// the tool that runs fails.
func StartKafkaTools(ctx context.Context, tb testing.TB) *KafkaTools {
	tb.Helper()
	source := filepath.Join(tb.TempDir(), "KafkaTools.java")
	if err := os.WriteFile(source, kafkaToolsProgram, 0o644); err != nil {
		tb.Fatal(err)
	}
	k := &KafkaTools{}
	var err error
	if k.cmd, err = KafkaTool(ctx, source); err != nil {
		tb.Fatal(err)
	}
	k.cmd.Stderr = &k.messages
	if k.ask, err = k.cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	if k.answer, err = k.cmd.StdoutPipe(); err != nil {
		tb.Fatal(err)
	}
	if err := k.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		k.ask.Close()    // which ends it
		_ = k.cmd.Wait() // that ctx has ended it before, as one of the test has, is no error
		if tb.Failed() {
			tb.Logf("the JVM of Kafka's tools said: %s", k.messages.String())
		}
	})
	return k
}

// Run runs a tool by its class, as org.apache.kafka.tools.TopicCommand, and
// returns what it printed. Another exit code than 0 is an error.
func (k *KafkaTools) Run(class, stdin string, args ...string) (string, error) {
	question := appendText(appendText(nil, class), stdin)
	question = binary.BigEndian.AppendUint32(question, uint32(len(args)))
	for _, arg := range args {
		question = appendText(question, arg)
	}
	if _, err := k.ask.Write(question); err != nil {
		return "", fmt.Errorf("services: ask for %s: %w", class, err)
	}
	var head [8]byte
	if _, err := io.ReadFull(k.answer, head[:]); err != nil {
		return "", fmt.Errorf("services: the answer of %s: %w", class, err)
	}
	printed := make([]byte, binary.BigEndian.Uint32(head[4:]))
	if _, err := io.ReadFull(k.answer, printed); err != nil {
		return "", fmt.Errorf("services: the answer of %s: %w", class, err)
	}
	if code := int32(binary.BigEndian.Uint32(head[:])); code != 0 {
		return "", fmt.Errorf("services: %s %q: exit code %d\n%s", class, args, code, printed)
	}
	return string(printed), nil
}

// appendText appends what Java's DataInput reads as a string. It is the same
// as UTF-8 but for a zero byte and for what is outside the Basic Multilingual
// Plane, of which no tool is told anything.
func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
