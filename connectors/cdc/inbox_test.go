package cdc_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

func TestInboxReadsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "signals")
	const lines = `{"id":"1","type":"execute-snapshot","data":{"data-collections":["s.a"]}}

{"id":"2","type":"log","data":"{\"message\": \"hello\"}"}
{"id":"3","type":"stop-snapshot"}
{"id":"4","type":"nonsense"}
not JSON
`
	if err := os.WriteFile(name, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	definition := &configs.Definition{Keys: cdc.SignalKeys("Signals")}
	v, problems := definition.Parse(map[string]string{"signal.enabled.channels": "source,file", "signal.file": name, "signal.poll.interval.ms": "1"})
	if err := configs.Err(problems); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	inbox := cdc.OpenInbox(v, true, slog.New(slog.NewTextHandler(&log, nil)))
	var got []connectors.Signal
	for end := time.Now().Add(time.Minute); len(got) < 3; {
		select {
		case <-inbox.Arrived():
			got = append(got, inbox.Take()...)
		case <-time.After(time.Until(end)):
			t.Fatalf("only %v came", got)
		}
	}
	inbox.Close()
	want := []connectors.Signal{{ID: "1", Type: "execute-snapshot", Data: `{"data-collections":["s.a"]}`}, {ID: "2", Type: "log", Data: `{"message": "hello"}`}, {ID: "3", Type: "stop-snapshot"}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
	if left, err := os.ReadFile(name); err != nil || len(left) > 0 {
		t.Errorf("the file has %q left, %v", left, err)
	}
	if text := log.String(); !strings.Contains(text, "nonsense") || !strings.Contains(text, "not JSON") {
		t.Errorf("what could not be read was not logged: %s", text)
	}
}
